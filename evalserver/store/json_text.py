"""Values as JSON text, for columns and for what a query is given as a list."""

from typing import Any

import orjson


def json_text(value: Any) -> str:
    """The value as JSON."""
    return orjson.dumps(value).decode()
