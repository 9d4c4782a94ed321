"""Strict fields: what a JSON value must be, with no conversion from something like it.

marshmallow's own number fields take true for 1 and "5" for 5; for a GPU count, that is a fault.
"""

import math
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields


class Text(fields.Field[str]):
    """A string of printable characters, so that it can be shown, logged and be an argument."""

    def __init__(self, *, longest: int = 1024, shortest: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.longest = longest
        self.shortest = shortest

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a string.")
        if not self.shortest <= len(value) <= self.longest:
            raise ValidationError(
                f"Must have {self.shortest} to {self.longest} characters, has {len(value)}."
            )
        if not value.isprintable():
            raise ValidationError("Must not contain control or other unprintable characters.")
        return value


class Name(Text):
    """A name that becomes an argument of a harness: it may not look like an option."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if name.startswith("-"):
            raise ValidationError("Must not begin with '-'.")
        if name != name.strip():
            raise ValidationError("Must not begin or end with a space.")
        return name


class TaskName(Name):
    """The name of one registered task, group or tag; wildcards are allowed, paths are not."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        if "," in name:
            raise ValidationError("Must be one task name: give several as several list items.")
        # A harness takes a path for a task definition, and runs the code that is in it.
        if "/" in name or "\\" in name or name.startswith((".", "~")):
            raise ValidationError("Must be the name of a registered task, not a path.")
        if name.lower().endswith((".yaml", ".yml", ".py", ".json")):
            raise ValidationError("Must be the name of a registered task, not a file.")
        return name


class Directory(Text):
    """A directory on the server's file system."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        path = super()._deserialize(value, attr, data, **kwargs)
        if path.startswith(("~", "-")) or ".." in path.split("/"):
            raise ValidationError("Must be a path without '~' at its beginning, and without '..'.")
        # lmms-eval cuts its output path at commas, and joins what quotes and brackets enclose.
        if set(path) & set(",'\"[]{}"):
            raise ValidationError("Must not contain commas, quotes or brackets.")
        return path


class Whole(fields.Field[int]):
    """A whole number within bounds; true is not 1, and 1.0 is not 1."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError(f"Must be an integer from {self.low} to {self.high}.")
        if not self.low <= value <= self.high:
            raise ValidationError(f"Must be from {self.low} to {self.high}, not {value}.")
        return value


class Seconds(fields.Field[float]):
    """A positive number of seconds."""

    LONGEST = 366 * 86400

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        if not _is_number(value) or not 0 < value <= self.LONGEST:
            raise ValidationError(f"Must be a number of seconds from above 0 to {self.LONGEST}.")
        return float(value)


class Switch(fields.Field[bool]):
    """true or false, and nothing like them."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class Limit(fields.Field[int | float]):
    """How much of each data set is evaluated: a count, a fraction, or -1 for all of it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | float:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and (value == -1 or 1 <= value < 2**53):
            return int(value)
        if isinstance(value, float) and 0 < value < 1:
            return value
        raise ValidationError(
            "Must be a number of samples (an integer of at least 1), a fraction between 0 and 1, "
            "or -1 for all."
        )


class BatchSize(fields.Field[int | str]):
    """A batch size, or ``auto``, or ``auto:N``."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | str:
        text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        number = text.removeprefix("auto:")
        if text == "auto" or (number.isascii() and number.isdigit() and 0 < int(number) < 2**31):
            return int(text) if isinstance(value, int) else text
        raise ValidationError("Must be an integer of at least 1, 'auto', or 'auto:N'.")


class Arguments(fields.Field[dict[str, Any]]):
    """Keyword arguments for a part of a harness: an object of any JSON values."""

    MOST_LEVELS = 16

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        faults = {
            key: ["Must be named like a Python argument: letters, digits and underscores."]
            for key in value
            if not (key.isidentifier() and key.isascii())
        }
        for key, below in value.items():
            fault = _fault(below, self.MOST_LEVELS)
            if fault is not None:
                faults.setdefault(key, []).append(fault)
        if faults:
            raise ValidationError(faults)
        return value


class GenerationArguments(Arguments):
    """Generation arguments: an object, or a text ``temperature=0,top_p=1``."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not isinstance(value, str):
            return super()._deserialize(value, attr, data, **kwargs)
        text = Text(longest=8192)._deserialize(value, attr, data, **kwargs)
        if not all("=" in part for part in text.split(",")[:1]):
            raise ValidationError("Must be an object, or a text such as 'temperature=0,top_p=1'.")
        return text


def _fault(value: Any, levels: int) -> str | None:
    """What is wrong with a free JSON value, or None."""
    if isinstance(value, str) and "\0" in value:
        return "Must not contain NUL characters."
    if isinstance(value, dict | list):
        if levels == 0:
            return f"Must not be nested more than {Arguments.MOST_LEVELS} levels deep."
        below = list(value.values()) + list(value) if isinstance(value, dict) else value
        return next((fault for each in below if (fault := _fault(each, levels - 1))), None)
    return None


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
