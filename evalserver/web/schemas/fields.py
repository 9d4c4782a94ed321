"""Strict fields of JSON bodies: values are validated, never converted.

marshmallow's own number fields accept true as 1 and "5" as 5; for a GPU count that is an error.
Each field also describes itself in JSON Schema, for OpenAPI.
"""

import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from marshmallow import ValidationError, fields

from evalserver.core.masking import contains_secret
from evalserver.core.request import MAX_LABEL_LENGTH, MAX_LABELS

T = TypeVar("T")
JsonSchema = dict[str, Any]

HIDDEN = r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
"""Control characters, line breaks and invisible characters, in the syntax of regular expressions of
both Python and JSON Schema."""
_HIDDEN = re.compile(f"[{HIDDEN}]")
PLAIN_NAME = re.compile("[a-z0-9][a-z0-9_]{0,14}")
"""Too short for a key of any service."""


def is_plain(value: Any) -> bool:
    """Return whether it is a short word, which no rule about names forbids."""
    return isinstance(value, str) and PLAIN_NAME.fullmatch(value) is not None


def about(description: str) -> dict[str, str]:
    """Return the ``metadata`` of a field: its description in OpenAPI."""
    return {"description": description}


class Strict(fields.Field[T]):
    """A field that validates without conversion."""

    @abstractmethod
    def json_schema(self) -> JsonSchema:
        """The accepted values, as far as JSON Schema can express them."""

    def _validate(self, value: Any) -> None:
        # Our fields validate in _deserialize; skip marshmallow's empty chain of validators.
        if self.validators:
            super()._validate(value)


class Text(Strict[str]):
    """A string without hidden characters: safe to show, to log and to pass as an argument."""

    PATTERN = rf"^[^{HIDDEN}]*$"
    """Without lookarounds, which some readers of JSON Schema do not support."""

    def __init__(self, *, longest: int = 1024, shortest: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.longest = longest
        self.shortest = shortest

    def json_schema(self) -> JsonSchema:
        """Length and characters."""
        return {
            "type": "string",
            "minLength": self.shortest,
            "maxLength": self.longest,
            "pattern": self.PATTERN,
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a string.")
        if not self.shortest <= len(value) <= self.longest:
            raise ValidationError(
                f"Must have {self.shortest} to {self.longest} characters, has {len(value)}."
            )
        if _HIDDEN.search(value):
            raise ValidationError("Must not contain control characters or invisible ones.")
        return value


class Name(Text):
    """A name that becomes an argument of a harness, so it must not look like an option."""

    PATTERN = rf"^[^\s\-{HIDDEN}](?:[^{HIDDEN}]*[^\s{HIDDEN}])?$"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if is_plain(value) and len(value) <= self.longest:
            return str(value)
        name = super()._deserialize(value, attr, data, **kwargs)
        if name.startswith("-"):
            raise ValidationError("Must not begin with '-'.")
        if name != name.strip():
            raise ValidationError("Must not begin or end with a space.")
        return _reject_secrets(name)


class PublicText(Text):
    """A text that every user of the server may see."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        return _reject_secrets(super()._deserialize(value, attr, data, **kwargs))


def _reject_secrets(text: str) -> str:
    if contains_secret(text):
        raise ValidationError(
            "Must not contain a key, a token or a password: every user may see it. Secrets belong"
            " in model_args, under a name such as api_key."
        )
    return text


class Header(Text):
    """The value of a header: visible ASCII with spaces in between."""

    PATTERN = r"^[!-~](?:[ -~]*[!-~])?$"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text.isascii():
            raise ValidationError("Must be ASCII.")
        return text


class Integer(Strict[int]):
    """An integer within bounds; neither true nor 1.0 is one."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def json_schema(self) -> JsonSchema:
        """The bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError(f"Must be an integer from {self.low} to {self.high}.")
        if not self.low <= value <= self.high:
            raise ValidationError(f"Must be from {self.low} to {self.high}, not {value}.")
        return value


class Seconds(Strict[float]):
    """A positive number of seconds."""

    MAX_SECONDS = 366 * 86400

    def json_schema(self) -> JsonSchema:
        """The bounds."""
        return {"type": "number", "exclusiveMinimum": 0, "maximum": self.MAX_SECONDS}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        if not _is_number(value) or not 0 < value <= self.MAX_SECONDS:
            raise ValidationError(
                f"Must be a number of seconds from above 0 to {self.MAX_SECONDS}."
            )
        return float(value)


class Boolean(Strict[bool]):
    """true or false."""

    def json_schema(self) -> JsonSchema:
        """The type."""
        return {"type": "boolean"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class List(fields.List[str]):
    """A list of limited length, which is checked before its items."""

    def __init__(self, item: fields.Field[str], *, longest: int, **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.longest = longest

    def json_schema(self) -> JsonSchema:
        """The bounds of the length; apispec adds the items."""
        return {"type": "array", "minItems": 1, "maxItems": self.longest}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if isinstance(value, list) and not 1 <= len(value) <= self.longest:
            raise ValidationError(f"Must have 1 to {self.longest} items, has {len(value)}.")
        return super()._deserialize(value, attr, data, **kwargs)


class Labels(Strict[dict[str, str]]):
    """Labels that a client attaches to a job."""

    NAME = PublicText(longest=128)
    TEXT = PublicText(longest=MAX_LABEL_LENGTH, shortest=0)

    def json_schema(self) -> JsonSchema:
        """The number of labels, their names and texts."""
        return {
            "type": "object",
            "maxProperties": MAX_LABELS,
            "propertyNames": self.NAME.json_schema(),
            "additionalProperties": self.TEXT.json_schema(),
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        if len(value) > MAX_LABELS:
            raise ValidationError(f"Must have at most {MAX_LABELS} labels, has {len(value)}.")
        faults = {
            name: [f"Its name: {message}" for message in _error_messages(self.NAME, name)]
            + _error_messages(self.TEXT, text)
            for name, text in value.items()
        }
        if any(faults.values()):
            raise ValidationError({name: found for name, found in faults.items() if found})
        return value


def _error_messages(field: fields.Field[str], value: Any) -> list[str]:
    """Return the validation errors of a value."""
    try:
        field.deserialize(value)
    except ValidationError as error:
        return [str(message) for message in error.messages]
    return []


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
