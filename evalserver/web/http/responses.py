"""Building JSON responses."""

from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import ETag, hdrs, web

JSON = "application/json"

ETAG_ANY = "*"
"""Matches every tag."""


def dump(value: Any) -> bytes:
    """Serialize a value as JSON."""
    return orjson.dumps(value)


def json_response(value: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Build a response with a JSON body."""
    return _reply(dump(value), JSON, status)


def json_text_response(text: str) -> web.Response:
    """Build a 200 response from JSON text."""
    return _reply(text.encode(), JSON)


def cacheable_response(
    request: web.Request, body: bytes, media_type: str = JSON, *, essence: bytes | None = None
) -> web.Response:
    """Build a 200 response with an ``ETag``, or 304 if it matches ``If-None-Match``.

    Clients may cache it and must revalidate it. With an ``essence``, responses with the same
    essence are equivalent, and the tag is a weak one (RFC 9110).
    """
    tag = blake2b(body if essence is None else essence, digest_size=16).hexdigest()
    known = {each.value for each in request.if_none_match or ()}
    if known & {tag, ETAG_ANY}:
        answer = web.Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        answer = _reply(body, media_type)
    answer.etag = ETag(tag, is_weak=essence is not None)
    # Without it, caches on the way may guess how long the response stays valid.
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _reply(body: bytes, media_type: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return web.Response(
        body=body, status=status, headers={hdrs.CONTENT_TYPE: f"{media_type}{charset}"}
    )


def is_connected(request: web.Request) -> bool:
    """Whether the client of a request is still connected."""
    # Nothing else tells a handler that its client has disconnected.
    return request.transport is not None and not request.transport.is_closing()
