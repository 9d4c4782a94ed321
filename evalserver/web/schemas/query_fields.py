"""Fields of query strings: every value is a text, parsed strictly."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError

from evalserver.attempts.failures import CODES
from evalserver.core.clock import timestamp
from evalserver.core.job_id import ID_PART
from evalserver.core.lifecycle import Status
from evalserver.core.suggestions import did_you_mean
from evalserver.store import Order, SortKey
from evalserver.web.schemas.fields import HIDDEN, JsonSchema, Labels, Strict

MAX_QUOTED = 64
"""Characters of a value that a message quotes."""


class QueryInteger(Strict[int]):
    """An integer within bounds, in plain digits."""

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum
        self.maximum = maximum

    def json_schema(self) -> JsonSchema:
        """The bounds."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        # Length first: Python refuses to parse thousands of digits.
        digits = len(value) <= len(str(self.maximum)) and value.isascii() and value.isdigit()
        if not digits or not self.minimum <= int(value) <= self.maximum:
            raise ValidationError(f"Must be an integer from {self.minimum} to {self.maximum}.")
        return int(value)


class QueryEventId(QueryInteger):
    """The id of an audit event; 0 is before the first one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, 2**63 - 1, **kwargs)


class QuerySeconds(Strict[float]):
    """A number of seconds from 0 to a maximum, in plain digits, with a fraction if wanted."""

    def __init__(self, maximum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maximum = maximum

    def json_schema(self) -> JsonSchema:
        """The bounds."""
        return {"type": "number", "minimum": 0, "maximum": self.maximum}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        plain = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value)
        if not plain or float(value) > self.maximum:
            raise ValidationError(f"Must be a number of seconds from 0 to {self.maximum:g}.")
        return float(value)


class QueryBoolean(Strict[bool]):
    """1, 0, true or false."""

    VALUES: Mapping[str, bool] = MappingProxyType(
        {"1": True, "true": True, "0": False, "false": False}
    )

    def json_schema(self) -> JsonSchema:
        """The allowed values."""
        return {"type": "string", "enum": list(self.VALUES)}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if value not in self.VALUES:
            raise ValidationError("Must be 1 or 0.")
        return self.VALUES[value]


class Statuses(Strict[frozenset[Status]]):
    """One status or several, separated by commas."""

    def json_schema(self) -> JsonSchema:
        """The pattern of the statuses between commas."""
        one = "|".join(Status)
        return {"type": "string", "pattern": f"^({one})(,({one}))*$"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> frozenset[Status]:
        known = [status.value for status in Status]
        names = value.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known)
            raise ValidationError(
                f"Must be one of {', '.join(known)}, or several separated by commas.{hint}"
            )
        return frozenset(map(Status, names))


class Sort(Strict[Order]):
    """The sort key of a list of jobs; ``-`` before it reverses the order."""

    def json_schema(self) -> JsonSchema:
        """The keys, each with and without the sign."""
        return {"type": "string", "enum": [f"{sign}{key}" for key in SortKey for sign in ("", "-")]}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Order:
        known = [key.value for key in SortKey]
        name = value.removeprefix("-")
        if name not in known:
            raise ValidationError(
                f"Must be one of {', '.join(known)}, with '-' before it to reverse the order."
                f"{did_you_mean(name, known)}"
            )
        return Order(SortKey(name), descending=value != name)


class DateTime(Strict[str]):
    """A time in ISO 8601 (UTC if it has no zone), converted to the format of the store.

    It is rounded up to the next millisecond, so that comparisons with stored times, which have
    milliseconds, give the same as with the exact time.
    """

    def json_schema(self) -> JsonSchema:
        """The format; the server accepts other forms of ISO 8601 too."""
        return {"type": "string", "format": "date-time"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        # An unencoded plus sign of a zone is decoded as a space in a query string.
        text = value.replace(" ", "+") if "T" in value else value
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return timestamp(moment + timedelta(microseconds=-moment.microsecond % 1000))
        except (ValueError, OverflowError):
            raise ValidationError(
                "Must be a time in ISO 8601, such as 2030-01-31 or 2030-01-31T12:00:00Z."
            ) from None


class FailureCode(Strict[str]):
    """A code of the table of failures."""

    def json_schema(self) -> JsonSchema:
        """All codes."""
        return {"type": "string", "enum": list(CODES)}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if value not in CODES:
            raise ValidationError(
                "Must be a code of the table of failures (docs/results.md), such as"
                f" gpu_out_of_memory.{did_you_mean(value, CODES)}"
            )
        return str(value)


class JobIdPart(Strict[str]):
    """The id of a job, or its beginning or end, in lower case."""

    def json_schema(self) -> JsonSchema:
        """The pattern; the server accepts capital letters too."""
        return {"type": "string", "pattern": f"^{ID_PART.pattern}$"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        part = str(value).lower()
        if not ID_PART.fullmatch(part):
            raise ValidationError(
                "Must be an id or its beginning or end: 4 to 36 characters of 0-9, a-f and '-'."
            )
        return part


class Label(Strict[tuple[str, str]]):
    """A label to filter by, as ``name=text``."""

    def json_schema(self) -> JsonSchema:
        """The pattern of ``name=text``."""
        name, text = Labels.NAME, Labels.TEXT
        pattern = (
            f"^[^={HIDDEN}]{{{name.shortest},{name.longest}}}"
            f"=[^{HIDDEN}]{{{text.shortest},{text.longest}}}$"
        )
        return {"type": "string", "pattern": pattern}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, str]:
        name, sign, text = value.partition("=")
        if not sign:
            raise ValidationError(f"Must be name=text, such as run=7b, not {value[:MAX_QUOTED]!r}.")
        return Labels.NAME.deserialize(name), Labels.TEXT.deserialize(text)
