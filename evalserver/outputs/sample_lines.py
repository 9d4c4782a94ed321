"""Reading the lines of a samples file, from any position and a limited part at a time.

A samples file has one JSON object per line. The file, and even a single line, can have gigabytes,
and a harness that was killed leaves an incomplete line. Such lines are reported as problems.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

MAX_LINE_BYTES = 1024 * 1024
MAX_COMMAS = 50_000
MAX_BRACKETS = 5_000
"""Lines with more are not parsed: parsing holds the interpreter lock, which must not block the
server for more than a few milliseconds. Thousands of new containers also start a full garbage
collection."""

MAX_PARSED_BYTES = 8 * 1024 * 1024
MAX_READ_BYTES = 64 * 1024 * 1024
"""Limits of one read. A line that is too long is read to its end, to find the next one."""

DOC_ID = re.compile(rb'\{"doc_id": ?(\d{1,18}|"[^"\\]{0,256}")[,}]')
"""The beginning of a line, up to the id of its document."""


LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidPosition(Exception):
    """No line of the file begins at this position."""


@dataclass(frozen=True)
class LinePosition:
    """Where to continue: an offset in bytes, and the number of the next line. ``inside`` means that
    the rest of a long line, which was returned already, comes first."""

    offset: int = 0
    line: int = 0
    inside: bool = False


@dataclass(frozen=True)
class SampleLine:
    """One line: its number in the file, from 0, with its values and its JSON text, or with the
    ``problem`` why it has none."""

    index: int
    doc_id: int | str | None = None
    values: Mapping[str, Any] | None = None
    text: bytes | None = None
    problem: str | None = None


class LineReader:
    """Iterates over the non-blank lines from a position until a limit of bytes is reached.

    Raises InvalidPosition.
    """

    def __init__(
        self, file: BinaryIO, start: LinePosition, max_parsed_bytes: int = MAX_PARSED_BYTES
    ) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._line = start.line
        self._inside = start.inside
        self._max_parsed = max_parsed_bytes
        self._parsed = 0
        self._read = 0
        self._seek(start)

    @property
    def position(self) -> LinePosition | None:
        """The position after the last line that was returned; None at the end of the file."""
        offset = self._file.tell()
        return None if offset >= self._size else LinePosition(offset, self._line, self._inside)

    def __iter__(self) -> Iterator[SampleLine]:
        while self._parsed < self._max_parsed and self._read < MAX_READ_BYTES:
            offset = self._file.tell()
            text = self._file.readline(MAX_LINE_BYTES + 1)
            self._read += len(text)
            if not text:
                return
            continues, self._inside = (
                self._inside,
                len(text) > MAX_LINE_BYTES and text[-1:] != b"\n",
            )
            if continues:
                continue
            index, self._line = self._line, self._line + 1
            if self._inside:
                yield _unparsed(index, offset, text, f"more than {MAX_LINE_BYTES} bytes")
            elif text.strip():
                self._parsed += len(text)
                yield _parse(index, offset, text.rstrip(b"\r\n"))

    def _seek(self, start: LinePosition) -> None:
        if not 0 <= start.offset <= self._size:
            raise InvalidPosition
        before = start.offset and not start.inside
        self._file.seek(start.offset - 1 if before else start.offset)
        if before and self._file.read(1) != b"\n":
            raise InvalidPosition


def _parse(index: int, offset: int, text: bytes) -> SampleLine:
    if text.count(b",") > MAX_COMMAS or text.count(b"[") + text.count(b"{") > MAX_BRACKETS:
        return _unparsed(index, offset, text, "too many values to be parsed")
    try:
        values, text = _load(text)
    except (ValueError, TypeError, RecursionError) as error:
        return SampleLine(index, problem=f"This line of the samples file cannot be read: {error}")
    if not isinstance(values, dict):
        return SampleLine(index, problem="This line of the samples file is not a JSON object")
    doc_id = values.get("doc_id")
    return SampleLine(index, doc_id if isinstance(doc_id, int | str) else None, values, text)


def _load(text: bytes) -> tuple[Any, bytes]:
    """Parse a line, and return its value and its JSON text."""
    try:
        return orjson.loads(text), text
    except orjson.JSONDecodeError:
        text = _as_json(text)
        return orjson.loads(text), text


def _as_json(text: bytes) -> bytes:
    """Return a line as JSON in UTF-8, where Python's ``json`` wrote what is neither.

    NaN and infinities become null; a lone surrogate, and a byte that is not UTF-8, becomes U+FFFD.
    """
    values = json.loads(
        text.decode(errors="replace"), parse_float=_finite, parse_constant=lambda _: None
    )
    written = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return LONE_SURROGATE.sub("\ufffd", written).encode()


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _unparsed(index: int, offset: int, text: bytes, reason: str) -> SampleLine:
    beginning = DOC_ID.match(text)
    problem = (
        f"This sample has {reason} and is not shown; it begins at byte {offset} of its file, which "
        "is one of the job's artifacts"
    )
    return SampleLine(index, orjson.loads(beginning[1]) if beginning else None, problem=problem)
