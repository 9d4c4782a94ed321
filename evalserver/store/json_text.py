"""Values as JSON text, for columns and for list parameters of queries."""

from typing import Any

import orjson


def json_text(value: Any) -> str:
    """The value as JSON."""
    return orjson.dumps(value).decode()
