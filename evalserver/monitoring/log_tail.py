"""Following a log that grows: reading what was appended since the last read."""

import codecs
import os
from dataclasses import dataclass
from pathlib import Path

from evalserver.system.attempt_log import log_size, open_log
from evalserver.system.untrusted_files import UnreadableFile

MAX_PIECE_BYTES = 32 * 1024

MAX_LAG_BYTES = 1024 * 1024
"""A reader that is further behind skips to the end. The log itself stays complete."""


@dataclass(frozen=True)
class LogPiece:
    """A part of a log: its offset in bytes, its text, and whether more can be read already."""

    offset: int
    text: str
    more: bool


class LogTail:
    """A position in the log of one attempt, from which the log is read on."""

    def __init__(self, run_dir: Path, offset: int = 0) -> None:
        self._run_dir = run_dir
        self._offset = offset
        self._checked_to = offset

    @classmethod
    def at_end(cls, run_dir: Path) -> "LogTail":
        """Start after the last complete line of the log."""
        start = max(0, log_size(run_dir) - MAX_PIECE_BYTES)
        return cls(run_dir, start + _complete_lines(_read(run_dir, start)))

    @classmethod
    def at_beginning(cls, run_dir: Path) -> "LogTail":
        """Start at the first byte of the log, which may not exist yet."""
        return cls(run_dir)

    def has_grown(self) -> bool:
        """Return whether the log has grown since the last read. Reads nothing, so it is quick."""
        return log_size(self._run_dir) > self._checked_to

    def read_lines(self) -> LogPiece | None:
        """Return the next complete lines, or a part of a very long line; None if there are none.

        A line ends with a newline, or with the carriage return that redraws a progress bar.
        """
        data = self._read_next()
        is_full = len(data) == MAX_PIECE_BYTES
        lines = data[: _complete_lines(data)]
        return self._advance(lines or data, is_full) if lines or is_full else None

    def read_rest(self) -> LogPiece | None:
        """Return what follows, even if its last line is incomplete; None at the end of the log."""
        data = self._read_next()
        return self._advance(data, len(data) == MAX_PIECE_BYTES) if data else None

    def _read_next(self) -> bytes:
        size = log_size(self._run_dir)
        if size - self._offset > MAX_LAG_BYTES:
            near_end = size - MAX_PIECE_BYTES
            self._offset = near_end + _next_line(_read(self._run_dir, near_end))
        data = _read(self._run_dir, self._offset)
        self._checked_to = self._offset + len(data)
        return data

    def _advance(self, data: bytes, is_full: bool) -> LogPiece:
        # A full piece can end within a character, which then belongs to the next piece.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(data, final=not is_full)
        incomplete_character, _ = decoder.getstate()
        piece = LogPiece(self._offset, text, more=is_full)
        self._offset += len(data) - len(incomplete_character)
        return piece


def _read(run_dir: Path, offset: int) -> bytes:
    try:
        with open_log(run_dir) as file:
            return os.pread(file.fileno(), MAX_PIECE_BYTES, offset)
    except (OSError, UnreadableFile):
        return b""


def _complete_lines(data: bytes) -> int:
    """Return how many of the bytes are complete lines."""
    return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1


def _next_line(data: bytes) -> int:
    """Return where the first line begins that is complete at its start."""
    return data.find(b"\n") + 1
