"""Reading JSON exactly: what Python would silently read as something else is refused."""

import json
from collections import Counter
from typing import Any

import orjson

from evalserver.web.schemas.arguments import MOST_LEVELS

LOWEST, HIGHEST = -(2**63), 2**64 - 1
"""The integers that orjson writes, and so that an answer can show."""

MOST_DIGITS = 20
MAX_QUOTED_CHARACTERS = 40


class NotReadable(Exception):
    """The JSON cannot be read, or not exactly; says why."""


def read_json(body: bytes) -> Any:
    """The value that the body is. Raises NotReadable."""
    try:
        # The stricter of the two about NaN, infinite numbers, lone surrogates and encodings; but
        # it makes large integers floats, and keeps the last of several values of one name.
        orjson.loads(body)
        return _DECODER.decode(body.decode())
    except orjson.JSONDecodeError as error:
        raise NotReadable(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise NotReadable(
            f"The body's JSON is nested too deeply; an argument may have {MOST_LEVELS} levels"
        ) from None


def _integer(digits: str) -> int:
    # Their count first: Python refuses to read thousands of digits.
    if len(digits) <= MOST_DIGITS and LOWEST <= (number := int(digits)) <= HIGHEST:
        return number
    raise NotReadable(
        f"The body's JSON cannot be read exactly: the integer {_shown(digits)} is not one of "
        "64 bits; send it as a string"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise NotReadable(
            f"The body's JSON cannot be read exactly: the name {_shown(name)!r} is there twice in "
            "one object"
        )
    return values


_DECODER = json.JSONDecoder(parse_int=_integer, object_pairs_hook=_object)


def _shown(text: str) -> str:
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}…"
