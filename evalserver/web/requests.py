"""Reading requests: a body or a query string becomes what its schema says, or a clear refusal."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from marshmallow import Schema, ValidationError

from evalserver.names import did_you_mean
from evalserver.web.errors import BadRequest, FieldError

UNKNOWN_FIELD = "Unknown field."
"""marshmallow's own words for a field that a schema does not have."""


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
    body = await request.read()
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {error}") from None
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
    try:
        return schema.load(values)
    except ValidationError as error:
        errors = tuple(_flatten(error.messages, schema))
        fields = ", ".join(dict.fromkeys(each.field for each in errors))
        detail = f"The request was refused, and nothing was changed. Please correct: {fields}"
        raise BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors) from None


def _flatten(messages: Any, schema: Schema, path: str = "") -> Iterator[FieldError]:
    if isinstance(messages, dict):
        for key, below in messages.items():
            yield from _flatten(below, schema, f"{path}.{key}" if path else str(key))
        return
    for message in messages:
        yield FieldError(path, _explain(message, path, schema))


def _explain(message: str, path: str, schema: Schema) -> str:
    if message != UNKNOWN_FIELD:
        return message
    known = list(schema.load_fields)
    hint = did_you_mean(path, known) or f" Known fields: {', '.join(known)}"
    return f"Unknown field.{hint}"


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
