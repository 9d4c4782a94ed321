"""Following a log that grows: what came behind a place that was reached before."""

import codecs
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from evalserver.runner.files import LOG_FILE
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, open_file

MOST_BYTES = 32 * 1024
"""Of one piece."""

FAR_BEHIND_BYTES = 1024 * 1024
"""Who is further behind goes on nearer to the end: the log itself has it all."""


@dataclass(frozen=True)
class LogPiece:
    """Some text of a log, the byte at which it begins, and whether more follows already."""

    offset: int
    text: str
    more: bool


class LogTail:
    """A place in one attempt's log, from which it is read on."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._looked_to = offset

    @classmethod
    def at_end(cls, run_dir: Path) -> "LogTail":
        """Behind the last whole line that is there now."""
        path = run_dir / LOG_FILE
        start = max(0, _size(path) - MOST_BYTES)
        return cls(path, start + _whole_lines(_read(path, start)))

    @classmethod
    def at_beginning(cls, run_dir: Path) -> "LogTail":
        """At the log's first byte, whether or not it is there yet."""
        return cls(run_dir / LOG_FILE)

    def has_grown(self) -> bool:
        """Is there something behind what was looked at? Quick: it reads nothing."""
        return _size(self._path) > self._looked_to

    def lines(self) -> LogPiece | None:
        """The next whole lines, or a part of one that is very long; None if there are none.

        A line ends with a newline, or with the carriage return that redraws a progress bar.
        """
        read = self._next()
        full = len(read) == MOST_BYTES
        lines = read[: _whole_lines(read)]
        return self._take(lines or read, full) if lines or full else None

    def rest(self) -> LogPiece | None:
        """What follows, whether or not its last line is whole; None if nothing does."""
        read = self._next()
        return self._take(read, len(read) == MOST_BYTES) if read else None

    def _next(self) -> bytes:
        size = _size(self._path)
        if size - self._offset > FAR_BEHIND_BYTES:
            near = size - MOST_BYTES
            self._offset = near + _to_next_line(_read(self._path, near))
        read = _read(self._path, self._offset)
        self._looked_to = self._offset + len(read)
        return read

    def _take(self, read: bytes, full: bool) -> LogPiece:
        # A full piece may end within a character, whose other half the next one brings.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(read, final=not full)
        half_a_character, _ = decoder.getstate()
        piece = LogPiece(self._offset, text, more=full)
        self._offset += len(read) - len(half_a_character)
        return piece


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _read(path: Path, offset: int) -> bytes:
    try:
        with open_file(UntrustedDirectory.for_attempt(path.parent), path.name) as file:
            return os.pread(file.fileno(), MOST_BYTES, offset)
    except (OSError, UnreadableFile):
        return b""


def _whole_lines(read: bytes) -> int:
    """How many of the bytes are whole lines."""
    return max(read.rfind(b"\n"), read.rfind(b"\r")) + 1


def _to_next_line(read: bytes) -> int:
    """How many of the bytes end the line in the middle of which they begin."""
    return read.find(b"\n") + 1
