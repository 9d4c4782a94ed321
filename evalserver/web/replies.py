"""Writing JSON replies."""

from typing import Any

import orjson
from aiohttp import web


def dump(value: Any) -> bytes:
    """JSON text of a value."""
    return orjson.dumps(value)


def reply(value: Any) -> web.Response:
    """A 200 answer with a JSON body."""
    return web.Response(body=dump(value), content_type="application/json")
