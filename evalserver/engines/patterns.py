"""Reading progress from lines that match a pattern, for harnesses without tqdm bars."""

import re

from evalserver.core.plain_text import without_escapes
from evalserver.engines.linear_pattern import LinearPattern
from evalserver.engines.progress import MAX_REST_BYTES, RUNNING, STARTING, Progress, TqdmReader

MAX_COUNT = 2**53
"""JSON's numbers are exact up to here."""

MAX_PROGRAM_SIZE = 500
"""Limit for a pattern that is tried on every line of a log."""
MAX_SEARCHED_BYTES = 16 * 1024
"""Searched in one piece (half a second of output), from its end."""

MAX_STAGE_CHARACTERS = 100


class PatternReader:
    """Reads progress from lines of a log that match a pattern.

    The pattern is a regular expression with a group ``done``, and ``total`` and ``stage`` if the
    lines tell them. It is tried on the lines of a piece, the first 1024 bytes of each, from the
    newest back until one matches or ``MAX_SEARCHED_BYTES`` were tried.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = LinearPattern(pattern, MAX_PROGRAM_SIZE)
        self._rest = b""
        self._newest = Progress(STARTING)

    def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
        """Return the progress after a piece; ``after_gap`` says that output before it is
        missing."""
        output = piece if after_gap else self._rest + piece
        *lines, rest = re.split(rb"[\r\n]+", output)
        self._rest = rest[:MAX_REST_BYTES]
        left = MAX_SEARCHED_BYTES
        for line in reversed(lines[1:] if after_gap else lines):
            beginning = line[:MAX_REST_BYTES]
            if self._take(without_escapes(beginning.decode(errors="replace"))):
                break
            left -= len(beginning) + 1
            if left <= 0:
                break
        return self._newest

    def _take(self, line: str) -> bool:
        """Update the progress from a line; return False if it has none."""
        groups = self._pattern.search(line)
        if groups is None:
            if line.strip() and self._newest.stage == STARTING:
                self._newest = Progress(RUNNING)
            return False
        done, total = _parse_count(groups.get("done")), _parse_count(groups.get("total"))
        if done is None:
            return False
        fraction = min(1.0, done / total) if total else None
        stage = (groups.get("stage") or RUNNING)[:MAX_STAGE_CHARACTERS]
        self._newest = Progress(stage, fraction, done, total)
        return True


class PatternOrBarReader:
    """Reads progress from lines that match a pattern; until one does, from tqdm's bars, which
    libraries draw while they load a model."""

    def __init__(self, pattern: str) -> None:
        self._lines = PatternReader(pattern)
        self._bars = TqdmReader()

    def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
        """Return the progress after a piece; ``after_gap`` says that output before it is
        missing."""
        by_lines = self._lines.read(piece, after_gap=after_gap)
        if by_lines.done is not None:
            return by_lines
        by_bars = self._bars.read(piece, after_gap=after_gap)
        return by_lines if by_bars.stage == STARTING else by_bars


def _parse_count(text: str | None) -> int | None:
    digits = (text or "").replace(",", "").strip()
    fine = digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_COUNT))
    return min(int(digits), MAX_COUNT) if fine else None
