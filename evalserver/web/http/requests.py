"""Reading requests: what comes in becomes what its schema says, or a clear refusal."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from marshmallow import Schema, ValidationError, fields

from evalserver.core.suggestions import did_you_mean
from evalserver.web.http.errors import BadRequest, FieldError, problem
from evalserver.web.http.json_body import NotReadable, read_json

UNKNOWN_FIELD = "Unknown field."
"""marshmallow's own words for a field that a schema does not have."""

LARGE_BODY_BYTES = 64 * 1024
BODY_SECONDS = 60.0
"""How long a client may take to send a body."""
JSON_TYPE = re.compile(r'application/json *(; *charset *= *("utf-?8"|utf-?8) *)?;?', re.IGNORECASE)
CONTINUE = "100-continue"

MOST_FIELDS = 50
MOST_ERRORS = 100
MOST_NAMED = 10
LONGEST = 128
"""So much of a request is looked at, and so much of it is shown in a refusal: fields, faults,
fields in the sentence, characters of a field's name."""


class Taken:
    """What is taken of one part of a request: a schema, and what follows from it for each request.

    Most requests leave most parts empty, so what the schema makes of nothing is loaded once.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.names = [field.data_key or name for name, field in schema.load_fields.items()]
        self.lists = {
            field.data_key or name
            for name, field in schema.load_fields.items()
            if isinstance(field, fields.List)
        }
        self.of_nothing: Any = None
        """None when something is required."""
        with suppress(ValidationError):
            self.of_nothing = schema.load({})


def check_path(request: web.Request, taken: Taken) -> None:
    """Raise BadRequest (422) unless the variable parts of the path are what is taken."""
    faults: list[tuple[str, str]] = []
    for name, value in request.match_info.items():
        try:
            # Each by itself: the schema as a whole takes five times as long, for one part.
            taken.schema.fields[name].deserialize(value)
        except ValidationError as error:
            faults.extend((name, str(message)) for message in error.messages)
    if faults:
        raise _refusal(faults, taken.names)


def read_headers(request: web.Request, taken: Taken) -> Any:
    """What is taken of the headers; one that comes several times is a list with commas.

    Raises BadRequest (422).
    """
    present = [name for name in taken.names if name in request.headers]
    return _load(taken, {name: ", ".join(request.headers.getall(name)) for name in present})


def read_query(request: web.Request, taken: Taken) -> Any:
    """What is taken of the query string; only a list may have its key several times.

    Raises BadRequest (422).
    """
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for key in dict.fromkeys(request.query):
        given = request.query.getall(key)
        values[key] = given if key in taken.lists else given[0]
        if len(given) > 1 and key in taken.names and key not in taken.lists:
            faults.append((key, f"Must be given once, not {len(given)} times."))
    return _load(taken, values, faults)


def refuse_body(request: web.Request) -> None:
    """Raise BadRequest (400) if the request has a body."""
    if request.can_read_body:
        what = f"{request.method} {request.path}"
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{what} takes no body; send it without one")


async def let_body_wait(request: web.Request) -> web.StreamResponse | None:
    """Answer an ``Expect`` header: a body is asked for when it is wanted."""
    expected = request.headers[hdrs.EXPECT]
    if expected.lower() == CONTINUE or request.version < HttpVersion11:
        return None
    return problem(HTTPStatus.EXPECTATION_FAILED, f"Expect may be {CONTINUE}, not {expected!r}")


async def ask_for_body(request: web.Request) -> None:
    """Tell a client that waits with its body for that: it is wanted."""
    if request.headers.get(hdrs.EXPECT, "").lower() == CONTINUE:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # aiohttp takes a connection on which something was written for one with half an answer.
        request.writer.output_size = 0


async def read_body(request: web.Request, taken: Taken) -> Any:
    """What is taken of the request's JSON object.

    Raises BadRequest: 415 for another content type or encoding, 413 for a body that is too large,
    408 for one that does not come, 400 for what is not JSON, 422 with every fault at once for
    what the schema refuses.
    """
    _check_type(request)
    body = await _receive(request)
    try:
        # Reading a large one takes a tenth of a second, in which others want their answers.
        large = len(body) > LARGE_BODY_BYTES
        values = await asyncio.to_thread(read_json, body) if large else read_json(body)
    except NotReadable as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, str(error)) from None
    return _load(taken, values)


def _check_type(request: web.Request) -> None:
    types = request.headers.getall(hdrs.CONTENT_TYPE, [])
    if len(types) != 1 or not JSON_TYPE.fullmatch(types[0].strip()):
        given = ", ".join(types)[:LONGEST] or "without a type"
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be sent as Content-Type: application/json, in UTF-8, not {given}",
        )
    encoding = ", ".join(request.headers.getall(hdrs.CONTENT_ENCODING, ["identity"]))
    if encoding.strip().lower() != "identity":
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be sent as it is, without Content-Encoding: {encoding[:LONGEST]}",
        )


async def _receive(request: web.Request) -> bytes:
    most = request.client_max_size
    if (request.content_length or 0) > most:
        raise _too_large(most)
    await ask_for_body(request)
    try:
        # A small body comes with the head: then there is nothing to wait for.
        if request.content.is_eof():
            body = request.content.read_nowait()
            if len(body) > most:
                raise _too_large(most)
            return body
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(most) from None
    except (web.RequestPayloadError, ConnectionResetError):
        raise BadRequest(
            HTTPStatus.BAD_REQUEST, "The body could not be read: it ended early"
        ) from None
    except TimeoutError:
        raise BadRequest(
            HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {BODY_SECONDS:g} seconds"
        ) from None


def _too_large(most: int) -> BadRequest:
    return BadRequest(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body must have at most {most} bytes (the server's setting max_body_bytes)",
    )


def _load(taken: Taken, values: object, faults: Sequence[tuple[str, str]] = ()) -> Any:
    """What the schema loads. Raises BadRequest for what it refuses, and for faults found before."""
    if values == {} and not faults and taken.of_nothing is not None:
        return taken.of_nothing
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
        loaded = taken.schema.load(values)
    except ValidationError as error:
        raise _refusal([*faults, *_flatten(error.messages)], taken.names) from None
    if faults:
        raise _refusal(faults, taken.names)
    return loaded


def _refusal(faults: Sequence[tuple[str, str]], known: Sequence[str]) -> BadRequest:
    """The answer to a request with these faults, each a path and a message; it is never long."""
    errors = [
        FieldError(_shown(path), _explain(message, path, known))
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


def _explain(message: str, path: str, known: Sequence[str]) -> str:
    if message != UNKNOWN_FIELD:
        return message
    if not known:
        return "Unknown field. There is none here."
    hint = did_you_mean(path, known) or f" Known fields: {', '.join(known)}"
    return f"Unknown field.{hint}"


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
