"""Strict fields: what a JSON value must be, with no conversion from something like it.

marshmallow's own number fields take true for 1 and "5" for 5; for a GPU count, that is a fault.
"""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
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


class WholeText(Whole):
    """A whole number within bounds, as a query has it: in digits."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        # Cut short before it is read: Python refuses to read thousands of digits.
        digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value)
        return super()._deserialize(int(value) if digits else None, attr, data, **kwargs)


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


class SwitchText(fields.Field[bool]):
    """1 or 0, as a query has it; true and false are the same."""

    VALUES: Mapping[str, bool] = MappingProxyType(
        {"1": True, "true": True, "0": False, "false": False}
    )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if value not in self.VALUES:
            raise ValidationError("Must be 1 or 0.")
        return self.VALUES[value]


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
        if text == "auto" or _is_count(number):
            return int(text) if isinstance(value, int) else text
        raise ValidationError("Must be an integer of at least 1, 'auto', or 'auto:N'.")


class Listing(fields.List[str]):
    """A list that is neither empty nor too long; only then are its items looked at."""

    def __init__(self, item: fields.Field[str], *, longest: int, **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.longest = longest

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[str | None]:
        if isinstance(value, list) and not 1 <= len(value) <= self.longest:
            raise ValidationError(f"Must have 1 to {self.longest} items, has {len(value)}.")
        return super()._deserialize(value, attr, data, **kwargs)


class Labels(fields.Field[dict[str, str]]):
    """Names and texts that a client attaches to a job."""

    MOST = 64
    NAME = Text(longest=128)
    TEXT = Text(longest=512, shortest=0)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        if len(value) > self.MOST:
            raise ValidationError(f"Must have at most {self.MOST} labels, has {len(value)}.")
        faults = {
            name: [f"Its name: {message}" for message in _messages(self.NAME, name)]
            + _messages(self.TEXT, text)
            for name, text in value.items()
        }
        if any(faults.values()):
            raise ValidationError({name: found for name, found in faults.items() if found})
        return value


def _messages(field: fields.Field[str], value: Any) -> list[str]:
    """What a field says against a value."""
    try:
        field.deserialize(value)
    except ValidationError as error:
        return [str(message) for message in error.messages]
    return []


def _is_count(text: str) -> bool:
    # Cut short before it is read: Python refuses to read thousands of digits.
    digits = len(text) <= 10 and text.isascii() and text.isdigit()
    return digits and 0 < int(text) < 2**31


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
