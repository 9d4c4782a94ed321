"""Writing replies."""

import hashlib
from typing import Any

import orjson
from aiohttp import ETag, web


def dump(value: Any) -> bytes:
    """JSON text of a value."""
    return orjson.dumps(value)


def reply(value: Any) -> web.Response:
    """A 200 answer with a JSON body."""
    return web.Response(body=dump(value), content_type="application/json")


def reply_bytes_unless_known(request: web.Request, body: bytes, media_type: str) -> web.Response:
    """A 200 answer that names its state, or 304 if the client has that already.

    Clients may keep it, and have to ask whether it is still so.
    """
    etag = ETag(hashlib.sha256(body).hexdigest()[:32])
    known = any(each.value in (etag.value, "*") for each in request.if_none_match or ())
    response = web.Response(status=304) if known else web.Response(body=body)
    if not known:
        response.content_type = media_type
        response.charset = "utf-8" if media_type.startswith("text/") else None
    response.etag = etag
    response.headers["Cache-Control"] = "no-cache"
    return response
