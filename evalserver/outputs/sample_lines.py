"""Reading the lines of a samples file: from any place in it, and only a bounded part at a time.

A samples file has a JSON object a line. It may have gigabytes, and so may a single line; a harness
that was cut short leaves a line that is no JSON. Such a line is told of in place of being shown.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

LONGEST_LINE = 1024 * 1024
MOST_COMMAS = 50_000
MOST_BRACKETS = 5_000
"""Lines with more are not shown: while one is parsed, in whatever thread, the whole server stands
still, and that must not last for more than a few milliseconds. Thousands of lists at a time also
make Python look through all objects that there are."""

MOST_PARSED_BYTES = 8 * 1024 * 1024
MOST_READ_BYTES = 64 * 1024 * 1024
"""At a time. The rest of a line that is too long is read too, to find where the next one begins."""

DOC_ID = re.compile(rb'\{"doc_id": ?(\d{1,18}|"[^"\\]{0,256}")[,}]')
"""How a line begins."""


class NoSuchPlace(Exception):
    """No line of the file begins there."""


@dataclass(frozen=True)
class Place:
    """Where to read on: the offset in bytes, the number of the next line, and whether the rest of a
    line that was given out already comes before it."""

    offset: int = 0
    line: int = 0
    inside: bool = False


@dataclass(frozen=True)
class Line:
    """One line: its number in the file, from 0; what it says, and its JSON text; or else the
    ``problem`` that there is with it."""

    index: int
    doc_id: int | str | None = None
    values: Mapping[str, Any] | None = None
    text: bytes | None = None
    problem: str | None = None


class Lines:
    """The lines that are not blank, from a place on, until enough was read. Raises NoSuchPlace."""

    def __init__(
        self, file: BinaryIO, start: Place, most_parsed_bytes: int = MOST_PARSED_BYTES
    ) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._line = start.line
        self._inside = start.inside
        self._most_parsed = most_parsed_bytes
        self._parsed = 0
        self._read = 0
        self._go_to(start)

    @property
    def place(self) -> Place | None:
        """Behind the last line that was given out; None at the end of the file."""
        offset = self._file.tell()
        return None if offset >= self._size else Place(offset, self._line, self._inside)

    def __iter__(self) -> Iterator[Line]:
        while self._parsed < self._most_parsed and self._read < MOST_READ_BYTES:
            offset = self._file.tell()
            text = self._file.readline(LONGEST_LINE + 1)
            self._read += len(text)
            if not text:
                return
            begun, self._inside = self._inside, len(text) > LONGEST_LINE and text[-1:] != b"\n"
            if begun:
                continue
            index, self._line = self._line, self._line + 1
            if self._inside:
                yield _not_shown(index, offset, text, f"more than {LONGEST_LINE} bytes")
            elif text.strip():
                self._parsed += len(text)
                yield _parse(index, offset, text.rstrip(b"\r\n"))

    def _go_to(self, start: Place) -> None:
        if not 0 <= start.offset <= self._size:
            raise NoSuchPlace
        before = start.offset and not start.inside
        self._file.seek(start.offset - 1 if before else start.offset)
        if before and self._file.read(1) != b"\n":
            raise NoSuchPlace


def _parse(index: int, offset: int, text: bytes) -> Line:
    if text.count(b",") > MOST_COMMAS or text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
        return _not_shown(index, offset, text, "too many values to be read at once")
    try:
        values, text = _load(text)
    except (ValueError, TypeError, RecursionError) as error:
        return Line(index, problem=f"This line of the samples file cannot be read: {error}")
    if not isinstance(values, dict):
        return Line(index, problem="This line of the samples file is not a JSON object")
    doc_id = values.get("doc_id")
    return Line(index, doc_id if isinstance(doc_id, int | str) else None, values, text)


def _load(text: bytes) -> tuple[Any, bytes]:
    """A line's value, and JSON text of it."""
    try:
        return orjson.loads(text), text
    except orjson.JSONDecodeError:
        # Harnesses write NaN, which is no JSON; it becomes null.
        values = json.loads(text.decode())
        return values, orjson.dumps(values)


def _not_shown(index: int, offset: int, text: bytes, what: str) -> Line:
    begins = DOC_ID.match(text)
    problem = (
        f"This sample has {what}, and is not shown; it begins at byte {offset} of its file, which "
        "is one of the job's artifacts"
    )
    return Line(index, orjson.loads(begins[1]) if begins else None, problem=problem)
