"""Cursors: where the next page of a list begins, as a text that clients hand back unread."""

import base64
import binascii
from hashlib import blake2b
from typing import Any

import orjson

from evalserver.store import Place

END = 2**63
POSITION_BYTES = 8
MARK_BYTES = 8


class NotACursor(Exception):
    """The text is not a cursor that this query gave."""


def write_cursor(position: int, query: bytes) -> str:
    """The cursor of a position, from 0 to below ``END``, in the list that ``query`` stands for."""
    return _written(position.to_bytes(POSITION_BYTES, "big"), query)


def read_cursor(cursor: str, query: bytes) -> int:
    """The position that a cursor of the same query stands for. Raises NotACursor."""
    at = _read(cursor, query)
    position = int.from_bytes(at, "big")
    if len(at) != POSITION_BYTES or position >= END:
        raise NotACursor
    return position


def write_place(place: Place, query: bytes) -> str:
    """The cursor of a place in the sorted list that ``query`` stands for."""
    return _written(orjson.dumps([place.value, place.seq]), query)


def read_place(cursor: str, query: bytes) -> Place:
    """The place that a cursor of the same query stands for. Raises NotACursor."""
    try:
        value, seq = orjson.loads(_read(cursor, query))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise NotACursor from None
    if not _is_seq(seq) or not (value is None or isinstance(value, str) or _is_whole(value)):
        raise NotACursor
    return Place(value, seq)


def _is_seq(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _is_whole(value: Any) -> bool:
    return type(value) is int and -END <= value < END


def _written(at: bytes, query: bytes) -> str:
    content = at + _mark(at, query)
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _read(cursor: str, query: bytes) -> bytes:
    """What is before the mark, which must be that of this query. Raises NotACursor."""
    try:
        padding = "=" * (-len(cursor) % 4)
        content = base64.b64decode(f"{cursor}{padding}", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotACursor from None
    at, mark = content[:-MARK_BYTES], content[-MARK_BYTES:]
    if mark != _mark(at, query) or _written(at, query) != cursor:
        raise NotACursor
    return at


def _mark(at: bytes, query: bytes) -> bytes:
    """Tells this query's cursors from those of others, and from made-up ones; it guards no secret:
    every position of a list may be asked for."""
    return blake2b(at + query, digest_size=MARK_BYTES).digest()
