"""Parsing and validating the parts of a request by their schemas."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from marshmallow import Schema, ValidationError, fields

from evalserver.core.suggestions import did_you_mean
from evalserver.web.http.errors import BadRequest, FieldError, is_read_only, problem
from evalserver.web.http.json_body import UnreadableJson, read_json

UNKNOWN_FIELD = "Unknown field."
"""marshmallow's message for a field that a schema does not have."""

LARGE_BODY_BYTES = 64 * 1024
BODY_SECONDS = 60.0
"""How long a client may take to send a body."""
JSON_TYPE = re.compile(r'application/json *(; *charset *= *("utf-?8"|utf-?8) *)?;?', re.IGNORECASE)
CONTINUE = "100-continue"

MAX_FIELDS = 50
MAX_ERRORS = 100
MAX_NAMED = 10
MAX_QUOTED_CHARACTERS = 128
"""Limits of what is validated, and of what an error shows: fields, errors, fields that the sentence
names, characters of a field's name."""


@dataclass(frozen=True)
class BodyLimit:
    """The limits of a body in bytes, and in values, which are its commas and brackets; and the
    setting that the limit comes from, if it comes from one."""

    max_bytes: int
    max_values: int | None = None
    setting: str | None = None


class RequestPart:
    """The schema of one part of a request, and what is derived from it once.

    Most parts of most requests are empty, so the value of an empty part is loaded in advance.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.names = [field.data_key or name for name, field in schema.load_fields.items()]
        self.lists = {
            field.data_key or name
            for name, field in schema.load_fields.items()
            if isinstance(field, fields.List)
        }
        self.empty_value: Any = None
        """None if a field is required."""
        with suppress(ValidationError):
            self.empty_value = schema.load({})


def check_path(request: web.Request, part: RequestPart) -> None:
    """Raise BadRequest (422) unless the variable parts of the path are valid."""
    faults: list[tuple[str, str]] = []
    for name, value in request.match_info.items():
        try:
            # Field by field: loading the whole schema takes five times as long.
            part.schema.fields[name].deserialize(value)
        except ValidationError as error:
            faults.extend((name, str(message)) for message in error.messages)
    if faults:
        raise validation_error(request, faults, part.names)


def read_headers(request: web.Request, part: RequestPart) -> Any:
    """Load the headers. Repeated headers are joined by commas.

    Raises BadRequest (422).
    """
    headers = request.headers
    values = {name: ", ".join(headers.getall(name)) for name in part.names if name in headers}
    return _load(request, part, values)


def read_query(request: web.Request, part: RequestPart) -> Any:
    """Load the query string. Only lists may repeat their key.

    An error in a list names the value's place only if there are several.

    Raises BadRequest (422).
    """
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for key in dict.fromkeys(request.query if request.rel_url.raw_query_string else ()):
        given = request.query.getall(key)
        values[key] = given if key in part.lists else given[0]
        if len(given) > 1 and key in part.names and key not in part.lists:
            faults.append((key, f"Must be given once, not {len(given)} times."))
    single = [key for key in part.lists if len(values.get(key, ())) == 1]
    return _load(request, part, values, faults, {f"{key}.0": key for key in single})


def reject_body(request: web.Request) -> None:
    """Raise BadRequest (400) if the request has a body."""
    if request.can_read_body:
        what = f"{request.method} {request.path}"
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{what} takes no body; send it without one")


async def handle_expect(request: web.Request) -> web.StreamResponse | None:
    """Handle an ``Expect`` header: ``100 Continue`` is sent only when the body is read."""
    expected = request.headers[hdrs.EXPECT]
    if expected.lower() == CONTINUE or request.version < HttpVersion11:
        return None
    return problem(HTTPStatus.EXPECTATION_FAILED, f"Expect may be {CONTINUE}, not {expected!r}")


async def send_continue(request: web.Request) -> None:
    """Send ``100 Continue`` to a client that waits for it before it sends its body."""
    if request.headers.get(hdrs.EXPECT, "").lower() == CONTINUE:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Otherwise aiohttp assumes that a response has begun.
        request.writer.output_size = 0


async def read_body(request: web.Request, part: RequestPart, limit: BodyLimit | None) -> Any:
    """Load the JSON object in the body; ``limit`` is the route's own, if it has one.

    Raises BadRequest: 415 for another content type or encoding, 413 for a body that is too large,
    408 for a body that is not received in time, 400 for invalid JSON, 422 with all errors at once
    for what the schema rejects.
    """
    _check_type(request)
    limit = limit or BodyLimit(request.client_max_size, setting="max_body_bytes")
    body = await _receive(request, limit)
    _check_values(body, limit)
    try:
        # Parsing a large body takes a tenth of a second, which would delay other requests.
        large = len(body) > LARGE_BODY_BYTES
        values = await asyncio.to_thread(read_json, body) if large else read_json(body)
    except UnreadableJson as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, str(error)) from None
    return _load(request, part, values)


def _check_type(request: web.Request) -> None:
    types = request.headers.getall(hdrs.CONTENT_TYPE, [])
    if len(types) != 1 or not JSON_TYPE.fullmatch(types[0].strip()):
        given = ", ".join(types)[:MAX_QUOTED_CHARACTERS] or "without a type"
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be sent as Content-Type: application/json, in UTF-8, not {given}",
        )
    encoding = ", ".join(request.headers.getall(hdrs.CONTENT_ENCODING, ["identity"]))
    if encoding.strip().lower() != "identity":
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The body must be sent without Content-Encoding, not with "
            f"{encoding[:MAX_QUOTED_CHARACTERS]}",
        )


def _check_values(body: bytes, limit: BodyLimit) -> None:
    """Raise BadRequest if the body may have too many values, each of which takes memory."""
    if limit.max_values is None:
        return
    # A comma in a text counts too: parsing it to find out is what this prevents.
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if values > limit.max_values:
        raise BadRequest(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body has {values} commas and brackets; at most {limit.max_values} are allowed."
            " Send several requests",
        )


async def _receive(request: web.Request, limit: BodyLimit) -> bytes:
    if (request.content_length or 0) > limit.max_bytes:
        raise _too_large(limit)
    await send_continue(request)
    try:
        # A small body arrives with the head: then there is nothing to wait for.
        if request.content.is_eof():
            body = request.content.read_nowait()
            if len(body) > limit.max_bytes:
                raise _too_large(limit)
            return body
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit)
    except (web.RequestPayloadError, ConnectionResetError):
        raise BadRequest(
            HTTPStatus.BAD_REQUEST, "The body could not be read: it is incomplete"
        ) from None
    except TimeoutError:
        raise BadRequest(
            HTTPStatus.REQUEST_TIMEOUT, f"The body was not received within {BODY_SECONDS:g} seconds"
        ) from None


async def _read(request: web.Request, limit: BodyLimit) -> bytes:
    body = bytearray()
    while part := await request.content.readany():
        body += part
        if len(body) > limit.max_bytes:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: BodyLimit) -> BadRequest:
    setting = "" if limit.setting is None else f" (the server's setting {limit.setting})"
    return BadRequest(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body must have at most {limit.max_bytes} bytes{setting}",
    )


def _load(
    request: web.Request,
    part: RequestPart,
    values: object,
    faults: Sequence[tuple[str, str]] = (),
    names: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Load the values. Raises BadRequest for invalid values, and for errors found before.

    ``names`` has what an error calls a path, if that is not the path.
    """
    if values == {} and not faults and part.empty_value is not None:
        return part.empty_value
    if not isinstance(values, dict):
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The body must be a JSON object, not {_json_type(values)}",
        )
    if len(values) > MAX_FIELDS:
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The request has {len(values)} fields; at most {MAX_FIELDS} are allowed",
        )
    try:
        loaded = part.schema.load(values)
    except ValidationError as error:
        invalid = [(names.get(path, path), text) for path, text in flatten(error.messages)]
        found = [*faults, *invalid]
        raise validation_error(request, found, part.names) from None
    if faults:
        raise validation_error(request, faults, part.names)
    return loaded


def validation_error(
    request: web.Request, faults: Sequence[tuple[str, str]], known: Sequence[str]
) -> BadRequest:
    """Build the error for these faults, each a path and a message, in bounded length.

    ``known`` are the fields that there are.
    """
    errors = [
        FieldError(_quoted(path), explain(message, path, known))
        for path, message in faults[:MAX_ERRORS]
    ]
    if len(faults) > MAX_ERRORS:
        errors.append(FieldError("", f"There are {len(faults) - MAX_ERRORS} more errors."))
    paths = list(dict.fromkeys(path for path, _ in faults))
    named = ", ".join(_quoted(path) for path in paths[:MAX_NAMED])
    more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
    unchanged = "" if is_read_only(request) else ", and nothing was changed"
    detail = f"The request is invalid{unchanged}. Please correct: {named}{more}"
    return BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, detail, tuple(errors))


def flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the message of each fault in the messages of a ValidationError."""
    if isinstance(messages, dict):
        for key, nested in messages.items():
            name = str(key) or '""'
            yield from flatten(nested, f"{path}.{name}" if path else name)
        return
    for message in messages:
        yield path, message


def _quoted(path: str) -> str:
    text = "".join(
        character if character.isprintable() else "?" for character in path[:MAX_QUOTED_CHARACTERS]
    )
    return text if len(path) <= MAX_QUOTED_CHARACTERS else f"{text[:-1]}…"


def explain(message: str, path: str, known: Sequence[str]) -> str:
    """Return the message; that of an unknown field with the fields that there are."""
    if message != UNKNOWN_FIELD:
        return message
    if not known:
        return "Unknown field. No fields are allowed here."
    hint = did_you_mean(path, known) or f" Known fields: {', '.join(known)}"
    return f"Unknown field.{hint}"


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
