"""Reading what a page's form sends."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from evalserver.web.http.errors import BadRequest
from evalserver.web.http.requests import BODY_SECONDS, ask_for_body

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 8
LARGEST_FORM = 16 * 1024
"""Bytes."""


async def read_form(request: web.Request, names: tuple[str, ...]) -> Mapping[str, str]:
    """These fields of the form; what is not given is empty, and nothing else may be.

    Raises BadRequest: 415, 413, 408, 400 for what is no form, 422 for an unknown field.
    """
    if request.content_type != FORM or hdrs.CONTENT_ENCODING in request.headers:
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The form must be sent as {FORM}")
    body = await _receive(request)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The form cannot be read") from None
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= set(names):
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"The form may have each once: {', '.join(names)}"
        )
    return {name: given.get(name, "") for name in names}


async def _receive(request: web.Request) -> bytes:
    await ask_for_body(request)
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while not request.content.at_eof() and len(body) <= LARGEST_FORM:
                body += await request.content.read(LARGEST_FORM + 1 - len(body))
    except (web.RequestPayloadError, ConnectionResetError):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The form ended early") from None
    except TimeoutError:
        raise BadRequest(HTTPStatus.REQUEST_TIMEOUT, "The form did not come in time") from None
    if len(body) > LARGEST_FORM:
        raise BadRequest(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The form must have at most {LARGEST_FORM} bytes",
        )
    return body
