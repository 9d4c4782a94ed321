"""Fields of query strings: every value comes as text, and is read strictly."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields


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


class QueryEventId(QueryWhole):
    """The id of an event of the audit log; 0 stands before the first one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, 2**63 - 1, **kwargs)


class QuerySeconds(fields.Field[float]):
    """A number of seconds from 0 to a bound, which may have a fraction, in plain digits."""

    def __init__(self, most: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.most = most

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        plain = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value)
        if not plain or float(value) > self.most:
            raise ValidationError(f"Must be a number of seconds from 0 to {self.most:g}.")
        return float(value)


class QuerySwitch(fields.Field[bool]):
    """1 or 0; true and false are the same."""

    VALUES: Mapping[str, bool] = MappingProxyType(
        {"1": True, "true": True, "0": False, "false": False}
    )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if value not in self.VALUES:
            raise ValidationError("Must be 1 or 0.")
        return self.VALUES[value]
