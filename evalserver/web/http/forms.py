"""Reading HTML forms."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from evalserver.web.http.errors import BadRequest
from evalserver.web.http.requests import BODY_SECONDS, send_continue

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 8
MAX_FORM_BYTES = 16 * 1024
"""Bytes."""


async def read_form(request: web.Request, names: tuple[str, ...]) -> Mapping[str, str]:
    """Read these fields of the form. Missing fields are empty.

    Raises BadRequest: 415, 413, 408, 400 if the body is not a form, 422 for other fields.
    """
    if request.content_type != FORM or hdrs.CONTENT_ENCODING in request.headers:
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The form must be sent as {FORM}")
    body = await _receive(request)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The form is malformed") from None
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= set(names):
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"Each field may be given once: {', '.join(names)}"
        )
    return {name: given.get(name, "") for name in names}


async def _receive(request: web.Request) -> bytes:
    await send_continue(request)
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while not request.content.at_eof() and len(body) <= MAX_FORM_BYTES:
                body += await request.content.read(MAX_FORM_BYTES + 1 - len(body))
    except (web.RequestPayloadError, ConnectionResetError):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The form is incomplete") from None
    except TimeoutError:
        raise BadRequest(HTTPStatus.REQUEST_TIMEOUT, "The form was not received in time") from None
    if len(body) > MAX_FORM_BYTES:
        raise BadRequest(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The form must have at most {MAX_FORM_BYTES} bytes",
        )
    return body
