"""Cursors: where the next page of a list begins, as a text that clients hand back unread."""

import base64
import binascii
from hashlib import blake2b

END = 2**63
POSITION_BYTES = 8
MARK_BYTES = 8


class NotACursor(Exception):
    """The text is not a cursor that this query gave."""


def write_cursor(position: int, query: bytes) -> str:
    """The cursor of a position, from 0 to below ``END``, in the list that ``query`` stands for."""
    at = position.to_bytes(POSITION_BYTES, "big")
    return base64.urlsafe_b64encode(at + _mark(at, query)).decode().rstrip("=")


def read_cursor(cursor: str, query: bytes) -> int:
    """The position that a cursor of the same query stands for. Raises NotACursor."""
    try:
        content = base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotACursor from None
    at, mark = content[:POSITION_BYTES], content[POSITION_BYTES:]
    position = int.from_bytes(at, "big")
    if position >= END or mark != _mark(at, query) or write_cursor(position, query) != cursor:
        raise NotACursor
    return position


def _mark(at: bytes, query: bytes) -> bytes:
    """Tells this query's cursors from those of others, and from made-up ones; it guards no secret:
    every position of a list may be asked for."""
    return blake2b(at + query, digest_size=MARK_BYTES).digest()
