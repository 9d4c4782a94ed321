"""Writing JSON replies."""

from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

ETAG_ANY = "*"
"""What stands for every tag."""


def dump(value: Any) -> bytes:
    """JSON text of a value."""
    return orjson.dumps(value)


def reply(value: Any) -> web.Response:
    """A 200 answer with a JSON body."""
    return _reply(dump(value))


def reply_text(text: str) -> web.Response:
    """A 200 answer with a JSON body that was written before."""
    return _reply(text.encode())


def reply_unless_known(request: web.Request, value: Any) -> web.Response:
    """A 200 answer that has an ``ETag``, or 304 to a client whose ``If-None-Match`` has it."""
    body = dump(value)
    tag = blake2b(body, digest_size=16).hexdigest()
    known = {each.value for each in request.if_none_match or ()}
    if known & {tag, ETAG_ANY}:
        answer = web.Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        answer = _reply(body)
    answer.etag = tag
    # Without it, caches on the way may guess for how long the answer holds.
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _reply(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
