"""Writing replies."""

from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import ETag, hdrs, web

JSON = "application/json"

ETAG_ANY = "*"
"""What stands for every tag."""


def dump(value: Any) -> bytes:
    """JSON text of a value."""
    return orjson.dumps(value)


def reply(value: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """An answer with a JSON body."""
    return _reply(dump(value), JSON, status)


def reply_text(text: str) -> web.Response:
    """A 200 answer with a JSON body that was written before."""
    return _reply(text.encode(), JSON)


def reply_unless_known(
    request: web.Request, body: bytes, media_type: str = JSON, *, essence: bytes | None = None
) -> web.Response:
    """A 200 answer that has an ``ETag``, or 304 to a client whose ``If-None-Match`` has it.

    Clients may keep it, and have to ask whether it is still so. Where there is an ``essence``,
    answers with the same one are as good as each other, and the tag is a weak one (RFC 9110).
    """
    tag = blake2b(body if essence is None else essence, digest_size=16).hexdigest()
    known = {each.value for each in request.if_none_match or ()}
    if known & {tag, ETAG_ANY}:
        answer = web.Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        answer = _reply(body, media_type)
    answer.etag = ETag(tag, is_weak=essence is not None)
    # Without it, caches on the way may guess for how long the answer holds.
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _reply(body: bytes, media_type: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return web.Response(
        body=body, status=status, headers={hdrs.CONTENT_TYPE: f"{media_type}{charset}"}
    )


def is_connected(request: web.Request) -> bool:
    """Is the client of a request still connected?"""
    # Nothing else tells a handler that its client went away.
    return request.transport is not None and not request.transport.is_closing()
