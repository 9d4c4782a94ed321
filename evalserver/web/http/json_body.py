"""Parsing JSON exactly: values that Python would silently change are rejected."""

import json
from collections import Counter
from typing import Any

import orjson

from evalserver.web.schemas.arguments import MAX_DEPTH

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""The integers that orjson can serialize, and hence a response can contain."""

MAX_DIGITS = 20
MAX_QUOTED_CHARACTERS = 40


class UnreadableJson(Exception):
    """The JSON cannot be parsed exactly; the message says why."""


def read_json(body: bytes) -> Any:
    """Parse the body. Raises UnreadableJson."""
    try:
        # orjson is stricter about NaN, infinities, lone surrogates and encodings, but it turns
        # large integers into floats and keeps the last of duplicate names.
        orjson.loads(body)
        return _DECODER.decode(body.decode())
    except orjson.JSONDecodeError as error:
        raise UnreadableJson(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise UnreadableJson(
            f"The body's JSON is nested too deeply; an argument may have {MAX_DEPTH} levels"
        ) from None


def _integer(digits: str) -> int:
    # Check the length first: Python refuses to convert thousands of digits.
    if len(digits) <= MAX_DIGITS and MIN_INTEGER <= (number := int(digits)) <= MAX_INTEGER:
        return number
    raise UnreadableJson(
        f"The body's JSON cannot be read exactly: the integer {_quoted(digits)} does not fit "
        "into 64 bits; send it as a string"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise UnreadableJson(
            f"The body's JSON cannot be read exactly: the name {_quoted(name)!r} occurs twice in "
            "one object"
        )
    return values


_DECODER = json.JSONDecoder(parse_int=_integer, object_pairs_hook=_object)


def _quoted(text: str) -> str:
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}…"
