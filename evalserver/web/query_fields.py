"""Fields of query strings: every value comes as text, and is read strictly."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields

from evalserver.clock import timestamp
from evalserver.lifecycle import Status
from evalserver.names import did_you_mean
from evalserver.web.fields import Labels


class QueryWhole(fields.Field[int]):
    """A whole number within bounds, in plain digits."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        # Their count first: Python refuses to read thousands of digits.
        digits = len(value) <= len(str(self.high)) and value.isascii() and value.isdigit()
        if not digits or not self.low <= int(value) <= self.high:
            raise ValidationError(f"Must be an integer from {self.low} to {self.high}.")
        return int(value)


class Statuses(fields.Field[frozenset[Status]]):
    """One status or several, separated by commas."""

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


class Moment(fields.Field[str]):
    """A time in ISO 8601, without a zone in UTC; as the store keeps it.

    Rounded up to the next millisecond, so that what is compared with times of whole milliseconds
    compares as the time that was given.
    """

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        # The plus sign of a zone means a space in a query string, and people forget to encode it.
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


class Label(fields.Field[tuple[str, str]]):
    """A label that a job must have, as ``name=text``."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, str]:
        name, sign, text = value.partition("=")
        if not sign:
            raise ValidationError("Must be name=text.")
        return Labels.NAME.deserialize(name), Labels.TEXT.deserialize(text)


class Repeated(fields.List[Any]):
    """A key that may be given several times; every other one is refused then."""

    def __init__(self, item: fields.Field[Any], *, most: int, **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.most = most

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if len(value) > self.most:
            raise ValidationError(f"Must be given at most {self.most} times.")
        return super()._deserialize(value, attr, data, **kwargs)
