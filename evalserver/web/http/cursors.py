"""Cursors: the position at which the next page of a list begins, as opaque text."""

import base64
import binascii
from hashlib import blake2b
from typing import Any

import orjson

from evalserver.store import Place

MAX_POSITION = 2**63
POSITION_BYTES = 8
CHECKSUM_BYTES = 8


class InvalidCursor(Exception):
    """The text is not a cursor of this query."""


def write_cursor(position: int, query: bytes) -> str:
    """Encode a position, from 0 to below ``MAX_POSITION``, in the list that ``query``
    identifies."""
    return _encode(position.to_bytes(POSITION_BYTES, "big"), query)


def read_cursor(cursor: str, query: bytes) -> int:
    """Decode the position from a cursor of the same query. Raises InvalidCursor."""
    at = _decode(cursor, query)
    position = int.from_bytes(at, "big")
    if len(at) != POSITION_BYTES or position >= MAX_POSITION:
        raise InvalidCursor
    return position


def write_place(place: Place, query: bytes) -> str:
    """Encode a place in the sorted list that ``query`` identifies."""
    return _encode(orjson.dumps([place.value, place.seq]), query)


def read_place(cursor: str, query: bytes) -> Place:
    """Decode the place from a cursor of the same query. Raises InvalidCursor."""
    try:
        value, seq = orjson.loads(_decode(cursor, query))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise InvalidCursor from None
    if not _is_seq(seq) or not (value is None or isinstance(value, str) or _is_integer(value)):
        raise InvalidCursor
    return Place(value, seq)


def _is_seq(value: Any) -> bool:
    return _is_integer(value) and value >= 0


def _is_integer(value: Any) -> bool:
    return type(value) is int and -MAX_POSITION <= value < MAX_POSITION


def _encode(at: bytes, query: bytes) -> str:
    content = at + _checksum(at, query)
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(cursor: str, query: bytes) -> bytes:
    """Return the content before the checksum, which must match the query. Raises InvalidCursor."""
    try:
        padding = "=" * (-len(cursor) % 4)
        content = base64.b64decode(f"{cursor}{padding}", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    at, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if checksum != _checksum(at, query) or _encode(at, query) != cursor:
        raise InvalidCursor
    return at


def _checksum(at: bytes, query: bytes) -> bytes:
    """Distinguishes cursors of this query from those of others and from invented ones.

    It protects no secret: clients may request every position of a list.
    """
    return blake2b(at + query, digest_size=CHECKSUM_BYTES).digest()
