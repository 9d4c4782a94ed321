"""Reading requests: a body or a query string becomes what its schema says, or a clear refusal."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError
from marshmallow import Schema, ValidationError

from evalserver.names import did_you_mean
from evalserver.web.errors import BadRequest, FieldError
from evalserver.web.json_body import NotReadable, read_json

UNKNOWN_FIELD = "Unknown field."
"""marshmallow's own words for a field that a schema does not have."""

LARGE_BODY_BYTES = 64 * 1024

MOST_FIELDS = 50
MOST_ERRORS = 100
MOST_NAMED = 10
LONGEST = 128
"""So much of a request is looked at, and so much of it is shown in a refusal: fields, faults,
fields in the sentence, characters of a field's name."""


async def read_body(request: web.Request, schema: Schema) -> Any:
    """What ``schema`` loads from the request's JSON object.

    Raises BadRequest: 415 for another content type, 400 for what is not JSON, 422 with every
    fault at once for what the schema refuses.
    """
    if request.content_type != "application/json":
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be sent as Content-Type: application/json, not {request.content_type}",
        )
    try:
        body = await request.read()
    except (web.RequestPayloadError, ContentEncodingError, ConnectionResetError):
        raise BadRequest(
            HTTPStatus.BAD_REQUEST,
            "The body could not be read: it ended early, or is not packed as its "
            "Content-Encoding says",
        ) from None
    try:
        # Reading a large one takes a tenth of a second, in which others want their answers.
        large = len(body) > LARGE_BODY_BYTES
        values = await asyncio.to_thread(read_json, body) if large else read_json(body)
    except NotReadable as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, str(error)) from None
    return _load(schema, values)


def read_query(request: web.Request, schema: Schema) -> Any:
    """What ``schema`` loads from the query string. Raises BadRequest (422)."""
    return _load(schema, dict(request.query))


def _load(schema: Schema, values: object) -> Any:
    if not isinstance(values, dict):
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The body must be a JSON object, not {_json_type(values)}",
        )
    if len(values) > MOST_FIELDS:
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The request has {len(values)} fields; at most {MOST_FIELDS} are looked at",
        )
    try:
        return schema.load(values)
    except ValidationError as error:
        raise _refusal(list(_flatten(error.messages)), schema) from None


def _refusal(faults: list[tuple[str, str]], schema: Schema) -> BadRequest:
    """The answer to a body with these faults, each a path and a message; it is never long."""
    errors = [
        FieldError(_shown(path), _explain(message, path, schema))
        for path, message in faults[:MOST_ERRORS]
    ]
    if len(faults) > MOST_ERRORS:
        errors.append(FieldError("", f"There are {len(faults) - MOST_ERRORS} more faults."))
    paths = list(dict.fromkeys(path for path, _ in faults))
    named = ", ".join(_shown(path) for path in paths[:MOST_NAMED])
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    detail = f"The request was refused, and nothing was changed. Please correct: {named}{more}"
    return BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, detail, tuple(errors))


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(messages, dict):
        for key, below in messages.items():
            name = str(key) or '""'
            yield from _flatten(below, f"{path}.{name}" if path else name)
        return
    for message in messages:
        yield path, message


def _shown(path: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in path[:LONGEST])
    return text if len(path) <= LONGEST else f"{text[:-1]}…"


def _explain(message: str, path: str, schema: Schema) -> str:
    if message != UNKNOWN_FIELD:
        return message
    known = [field.data_key or name for name, field in schema.load_fields.items()]
    hint = did_you_mean(path, known) or f" Known fields: {', '.join(known)}"
    return f"Unknown field.{hint}"


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
