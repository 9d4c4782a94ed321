"""Fields of requests with rules of their own: task names, directories, sizes, tokens."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from evalserver.auth.access import TOKEN_NAME
from evalserver.core.roles import ASSIGNABLE_ROLES
from evalserver.core.task_names import IN_PACKAGE, is_in_package
from evalserver.system.allowed_directories import task_directories
from evalserver.web.schemas.fields import HIDDEN, JsonSchema, Name, Strict, Text


class TaskName(Name):
    """The name of a registered task, group or tag, or ``package/task``, which only Inspect takes.
    Wildcards are allowed; a path is allowed only for a task file in a directory of
    ``--task-path``."""

    PATTERN = (
        rf"^[^\s\-.~,/\\{HIDDEN}](?:[^,/\\{HIDDEN}]*[^\s,/\\{HIDDEN}])?$|^{IN_PACKAGE.pattern}$"
    )
    """Does not cover the rule against file names."""
    PATH_PATTERN = rf"/[^,{HIDDEN}]*\.ya?ml"

    def json_schema(self) -> JsonSchema:
        """A name, or a path if the settings allow task files; not whether the path is allowed."""
        told = super().json_schema()
        if not self._allowed_task_path():
            return told
        return {**told, "pattern": f"{self.PATTERN}|^{self.PATH_PATTERN}$"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if "," in name:
            raise ValidationError("Must be one task name: give several as several list items.")
        if self._is_task_file(name):
            return name
        # A harness would load a path as a task definition, and run its code.
        is_path = "/" in name and not is_in_package(name)
        if is_path or "\\" in name or name.startswith((".", "~")):
            raise ValidationError("Must be the name of a registered task, not a path.")
        if name.lower().endswith((".yaml", ".yml", ".py", ".json")):
            raise ValidationError("Must be the name of a registered task, not a file.")
        return name

    def _is_task_file(self, name: str) -> bool:
        """Return whether this is an allowed path. Raises ValidationError for any other path."""
        allowed = self._allowed_task_path()
        if not name.startswith("/") or not allowed:
            return False
        fault = task_directories(allowed).fault(Path(name))
        if fault is not None:
            raise ValidationError(f"Must be the name of a registered task. As a path: {fault}")
        if Path(name).suffix not in (".yaml", ".yml") or not Path(name).is_file():
            raise ValidationError("Must be the path of an existing task file in YAML.")
        return True

    def _allowed_task_path(self) -> tuple[str, ...]:
        bounds = getattr(self.root, "bounds", None)
        return () if bounds is None else tuple(bounds.task_path)


class Directory(Text):
    """A directory on the server's file system."""

    FORBIDDEN = rf"""{HIDDEN},'"\[\]{{}}"""
    PATTERN = rf"^[^~\-{FORBIDDEN}][^{FORBIDDEN}]*$"
    """Does not cover the rule against ``..``."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        path = super()._deserialize(value, attr, data, **kwargs)
        if path.startswith(("~", "-")) or ".." in path.split("/"):
            raise ValidationError(
                "Must be a path that does not begin with '~' or '-' and does not contain '..'."
            )
        # lmms-eval splits its output path at commas outside of quotes and brackets.
        if set(path) & set(",'\"[]{}"):
            raise ValidationError("Must not contain commas, quotes or brackets.")
        return path


class Limit(Strict[int | float]):
    """The samples of each task to evaluate: a count, a fraction, or -1 for all."""

    MAXIMUM = 2**53 - 1

    def json_schema(self) -> JsonSchema:
        """The three forms."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": self.MAXIMUM},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "integer", "const": -1},
            ]
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | float:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and (value == -1 or 1 <= value <= self.MAXIMUM):
            return int(value)
        if isinstance(value, float) and 0 < value < 1:
            return value
        raise ValidationError(
            f"Must be a number of samples (an integer from 1 to {self.MAXIMUM}), a fraction "
            "between 0 and 1, or -1 for all."
        )


class BatchSize(Strict[int | str]):
    """A batch size, or ``auto``, or ``auto:N``."""

    MAXIMUM = 999_999_999
    PATTERN = r"^(?:auto|(?:auto:)?[1-9][0-9]{0,8})$"

    def json_schema(self) -> JsonSchema:
        """The number and the texts."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": self.MAXIMUM},
                {"type": "string", "pattern": self.PATTERN},
            ]
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | str:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and 1 <= value <= self.MAXIMUM:
            return int(value)
        if isinstance(value, str) and re.fullmatch(self.PATTERN, value):
            return value
        raise ValidationError(
            f"Must be an integer from 1 to {self.MAXIMUM}, 'auto', or 'auto:N' with such an N."
        )


class Seed(Strict[int | list[int | None]]):
    """A seed, or those of several generators of random numbers."""

    MINIMUM, MAXIMUM = -(2**63), 2**63 - 1
    LENGTHS = (3, 4)
    """How many seeds lmms-eval and lm-eval take."""

    def json_schema(self) -> JsonSchema:
        """The number and the list."""
        number = {"type": "integer", "minimum": self.MINIMUM, "maximum": self.MAXIMUM}
        shortest, longest = self.LENGTHS
        seeds = {"anyOf": [number, {"type": "null"}]}
        return {
            "anyOf": [
                number,
                {"type": "array", "minItems": shortest, "maxItems": longest, "items": seeds},
            ]
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | list[int | None]:
        if self._is_seed(value):
            return int(value)
        is_list = isinstance(value, list) and len(value) in self.LENGTHS
        if is_list and all(each is None or self._is_seed(each) for each in value):
            return list(value)
        raise ValidationError(
            "Must be an integer of 64 bits, or a list of three or four of them or null: the seeds "
            "of Python, numpy, torch and the choice of examples."
        )

    def _is_seed(self, value: Any) -> bool:
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        return is_integer and self.MINIMUM <= value <= self.MAXIMUM


class Choice(Strict[str]):
    """One of a few texts."""

    def __init__(self, choices: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices

    def json_schema(self) -> JsonSchema:
        """The texts."""
        return {"type": "string", "enum": list(self.choices)}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if value not in self.choices:
            raise ValidationError(f"Must be one of {', '.join(self.choices)}.")
        return str(value)


class TokenName(Name):
    """The name of a token."""

    PATTERN = f"^{TOKEN_NAME}$"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if not re.fullmatch(TOKEN_NAME, name):
            raise ValidationError(
                "Must be letters, digits and . _ @ -, beginning with a letter or a digit."
            )
        return name


class RoleName(Name):
    """The role of a token."""

    def json_schema(self) -> JsonSchema:
        """The roles."""
        return {"type": "string", "enum": list(ASSIGNABLE_ROLES)}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if name not in ASSIGNABLE_ROLES:
            raise ValidationError(f"Must be one of {', '.join(ASSIGNABLE_ROLES)}.")
        return name
