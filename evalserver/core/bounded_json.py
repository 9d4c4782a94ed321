"""Parsing untrusted JSON at a bounded cost."""

import json
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 100
"""Nested arrays and objects. ``orjson`` serializes at most 254 levels."""

MAX_VALUES = 1_000_000
"""Counted as commas, colons and brackets; a value takes up to a hundred bytes of memory."""

MAX_CONTAINERS = 50_000
"""Arrays and objects. The parser lets no other thread run while it builds them."""

MAX_DIGITS = 300
"""Characters of one number; a longer number does not fit into a float."""


class InvalidJson(ValueError):
    """The text is not JSON or exceeds a limit. The message completes a sentence: "it has ..."."""


def parse_json(text: bytes, max_values: int = MAX_VALUES) -> Any:
    """Parse JSON in UTF-8. NaN and infinities are accepted, since Python writes them.

    The caller limits the length of the text. Raises InvalidJson.
    """
    if sum(map(text.count, (b",", b":", b"[", b"{"))) > max_values:
        raise InvalidJson(f"it has more than {max_values} values")
    if text.count(b"[") + text.count(b"{") > MAX_CONTAINERS:
        raise InvalidJson(f"it has more than {MAX_CONTAINERS} arrays and objects")
    try:
        value = json.loads(text.decode(), parse_int=_integer, parse_float=_float)
    except RecursionError:
        raise InvalidJson(_too_deep()) from None
    except InvalidJson:
        raise
    except ValueError as error:
        raise InvalidJson(f"it is not JSON: {error}") from None
    if _is_deeper_than(value, MAX_DEPTH):
        raise InvalidJson(_too_deep())
    return value


def parse_object(text: bytes, max_values: int = MAX_VALUES) -> dict[str, Any]:
    """Parse JSON whose top-level value must be an object. Raises InvalidJson."""
    value = parse_json(text, max_values)
    if not isinstance(value, dict):
        raise InvalidJson("it is not a JSON object")
    return value


def _integer(digits: str) -> int:
    return int(_check_length(digits))


def _float(digits: str) -> float:
    return float(_check_length(digits))


def _check_length(digits: str) -> str:
    if len(digits) > MAX_DIGITS:
        raise InvalidJson(f"it has a number of {len(digits)} characters, more than {MAX_DIGITS}")
    return digits


def _too_deep() -> str:
    return f"its arrays and objects are nested more than {MAX_DEPTH} deep"


def _is_deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [below for each in level for below in _containers_in(each)]
        if not level:
            return False
    return True


def _containers_in(value: Any) -> Iterable[Any]:
    if not isinstance(value, dict | list):
        return ()
    members = value.values() if isinstance(value, dict) else value
    return [each for each in members if isinstance(each, dict | list)]
