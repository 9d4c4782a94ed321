"""Fields of a query string, whose values are text."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields


class QueryWhole(fields.Field[int]):
    """A whole number within bounds, in plain digits."""

    LONGEST = 18
    """Digits; Python refuses to read thousands of them."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        plain = len(value) <= self.LONGEST and value.isascii() and value.isdigit()
        if not plain or not self.low <= int(value) <= self.high:
            raise ValidationError(f"Must be an integer from {self.low} to {self.high}.")
        return int(value)
