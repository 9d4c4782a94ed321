"""Values as JSON text, for columns and for list parameters of queries."""

from typing import Any

import orjson


def json_text(value: Any) -> str:
    """The value as JSON."""
    return orjson.dumps(value).decode()


def json_or_null(value: Any) -> str | None:
    """The value as JSON; NULL for None."""
    return None if value is None else json_text(value)
