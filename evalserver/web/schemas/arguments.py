"""Fields for keyword arguments: any JSON values that are passed to the harness."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from evalserver.web.schemas.fields import HIDDEN, JsonSchema, Strict, Text

MAX_DEPTH = 16
MAX_VALUES = 10_000
MAX_KEY_LENGTH = 256
MAX_TEXT_LENGTH = 8192

VALUE = "ArgumentValue"
"""The name of the schema for any JSON value in the OpenAPI description."""
VALUE_REFERENCE = {"$ref": f"#/components/schemas/{VALUE}"}
NO_NUL = r"^[^\x00]*$"
VALUE_SCHEMA: JsonSchema = {
    "description": (
        f"Any JSON value, nested at most {MAX_DEPTH} levels deep, with at most {MAX_VALUES} "
        "values in total. Integers must fit into 64 bits, names of an object must be unique."
    ),
    "anyOf": [
        {"type": ["null", "boolean", "number"]},
        {"type": "string", "pattern": NO_NUL},
        {"type": "array", "items": VALUE_REFERENCE},
        {
            "type": "object",
            "propertyNames": {"maxLength": MAX_KEY_LENGTH, "pattern": NO_NUL},
            "additionalProperties": VALUE_REFERENCE,
        },
    ],
}
ARGUMENT = r"[A-Za-z_][A-Za-z0-9_]*"

# One assignment of a text: a name, and a value whose quotes and brackets are closed. Nested
# brackets, which a regular expression cannot count, are accepted beyond it.
_QUOTED = rf"""'[^'{HIDDEN}]*'|"[^"{HIDDEN}]*\""""
_VALUE = rf"""(?:[^,'"\[\]{{}}{HIDDEN}]|{_QUOTED}|\[(?:[^'"\[\]{{}}{HIDDEN}]|{_QUOTED})*\])*"""
_ASSIGNMENT = rf" *{ARGUMENT} *={_VALUE}"
ASSIGNMENTS = rf"^[ ,]*{_ASSIGNMENT}(?:,(?: *|{_ASSIGNMENT}))*$"


class Arguments(Strict[dict[str, Any]]):
    """Keyword arguments for the harness: an object of any JSON values."""

    def json_schema(self) -> JsonSchema:
        """The names and values."""
        return {
            "type": "object",
            "maxProperties": MAX_VALUES,
            "propertyNames": {"maxLength": MAX_KEY_LENGTH, "pattern": f"^{ARGUMENT}$"},
            "additionalProperties": VALUE_REFERENCE,
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        if _has_too_many_values(value):
            raise ValidationError(f"Must not have more than {MAX_VALUES} values in total.")
        faults = {key: found for key, below in value.items() if (found := _find_faults(key, below))}
        if faults:
            raise ValidationError(faults)
        return value


class GenerationArguments(Arguments):
    """Generation arguments: an object, or a text such as ``temperature=0,top_p=1``."""

    TEXT = Text(longest=MAX_TEXT_LENGTH)

    def json_schema(self) -> JsonSchema:
        """The object or the text."""
        return {
            "anyOf": [
                super().json_schema(),
                {"type": "string", "maxLength": MAX_TEXT_LENGTH, "pattern": ASSIGNMENTS},
            ]
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not isinstance(value, str):
            return super()._deserialize(value, attr, data, **kwargs)
        text: str = self.TEXT.deserialize(value)
        parts = _split_assignments(text)
        if not parts or not all(_is_assignment(part) for part in parts):
            raise ValidationError("Must be an object, or a text such as 'temperature=0,top_p=1'.")
        return text


def _find_faults(key: str, value: Any) -> list[str]:
    """Return the errors of one argument."""
    faults = []
    if not _is_argument_name(key):
        faults.append("Must be named like a Python argument: letters, digits and underscores.")
    if len(key) > MAX_KEY_LENGTH:
        faults.append(f"Must have a name of at most {MAX_KEY_LENGTH} characters.")
    fault = _find_fault(value, MAX_DEPTH)
    return faults if fault is None else [*faults, fault]


def _find_fault(value: Any, levels: int) -> str | None:
    """Return the error of a JSON value, or None."""
    if isinstance(value, str) and "\0" in value:
        return "Must not contain NUL characters."
    if not isinstance(value, dict | list):
        return None
    if levels == 0:
        return f"Must not be nested more than {MAX_DEPTH} levels deep."
    if isinstance(value, list):
        return _find_first_fault(value, levels - 1)
    if any(len(key) > MAX_KEY_LENGTH for key in value):
        return f"Must not contain names of more than {MAX_KEY_LENGTH} characters."
    return _find_first_fault([*value, *value.values()], levels - 1)


def _find_first_fault(values: list[Any], levels: int) -> str | None:
    return next((fault for each in values if (fault := _find_fault(each, levels))), None)


def _has_too_many_values(value: Any) -> bool:
    count = 0
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            count += len(each)
            if count > MAX_VALUES:
                return True
            waiting.extend(each.values() if isinstance(each, dict) else each)
    return False


def _is_argument_name(name: str) -> bool:
    return name.isidentifier() and name.isascii()


def _is_assignment(part: str) -> bool:
    name, sign, _ = part.partition("=")
    return bool(sign) and _is_argument_name(name.strip())


def _split_assignments(text: str) -> list[str]:
    """Split the text at commas outside of quotes and brackets, as lmms-eval does.

    Empty parts are left out, as both harnesses do.
    """
    parts = [""]
    quote = ""
    depth = 0
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]
