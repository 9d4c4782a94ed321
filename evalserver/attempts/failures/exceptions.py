"""The exceptions that ended a harness, read from the end of its log.

Only what is at the end of a traceback, in the message of a crash of native code, or on the last
line counts: anywhere else a log may have the texts of models and data sets, which prove nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

MAX_LINES = 4000
"""Of the end of a log."""
MAX_LINE_CHARACTERS = 2000
MAX_MESSAGE_LINES = 60
MAX_MESSAGE_CHARACTERS = 6000
MAX_FRAMES = 1000
MAX_LINES_AFTER = 200
"""Lines of a log after the last exception, at most: several processes that end log some."""

HEADER = "Traceback (most recent call last):"
CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
NATIVE = "terminate called after throwing an instance of '"
FATAL = "Fatal Python error: "

_PREFIX = re.compile(
    r"\[(?:rank)?\d{1,4}\]: ?"  # of torch and torchrun
    r"|\([A-Za-z][\w ]{0,60}(?:=\w{1,10})? pid=\d{1,9}(?:, ip=[\d.]{1,15})?\) ?"  # of vLLM, Ray
    r"|(?:ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[\w./]{1,60}:\d{1,5}\] ?"  # of vLLM
)
"""What several processes put before each line that they log."""
_FRAME = re.compile(r'[>\s]{1,4}File "([^"]{1,1000})", line (\d{1,9}), in (\S{1,200})')
_BARE_FRAME = re.compile(r'\s{1,8}File "([^"]{1,1000})", line (\d{1,9})$')
"""Of a SyntaxError: the place in the source."""
_EXCEPTION = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:: ?(.*))?$")
_NAME = re.compile(
    r"(?:Error|Exception|Exit|Interrupt|Warning|Timeout|Enabled|Found|Killed|Failed)$"
)
_LOG_LINE = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\[\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d |[IWEF]\d{4} "
)


@dataclass(frozen=True)
class Frame:
    """A line of a traceback: file, line number, and function."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Raised:
    """An exception at the end of a traceback, with its innermost frame last.

    ``name`` is that of its class without the module; empty for a last line that is no exception.
    """

    name: str
    message: str
    frames: tuple[Frame, ...] = ()
    is_chained: bool = False
    """Whether it was raised because of, or while handling, the one before it in the log."""
    is_last_line: bool = False
    """Whether it is the last line of the log, outside of any traceback."""


def read_exceptions(log_end: str) -> list[Raised]:
    """Return the exceptions in the end of a log, the last one first.

    A last line outside of any traceback comes first. There are none if much was logged after them:
    the harness went on.
    """
    lines = [_without_prefix(each[:MAX_LINE_CHARACTERS]) for each in log_end.splitlines()]
    reader = _Reader(lines[-MAX_LINES:])
    found = list(reader.exceptions())[::-1]
    if found and reader.lines_after_last > MAX_LINES_AFTER:
        found = []
    last = reader.last_line()
    return found if last is None else [last, *found]


def chain_of(exceptions: list[Raised]) -> list[Raised]:
    """Return the last exception, and those that it was chained to, in the order given."""
    chain = []
    for each in exceptions:
        chain.append(each)
        if not each.is_chained:
            break
    return chain


class _Reader:
    """Reads lines once, from the first to the last."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._end = 0
        """The line after the last exception."""

    def exceptions(self) -> Iterator[Raised]:
        is_chained = False
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if line.strip() in CHAINED:
                is_chained = True
                continue
            raised = self._raised_at(line.strip(), is_chained)
            if raised is not None:
                self._end = self._at
                is_chained = False
                yield raised

    @property
    def lines_after_last(self) -> int:
        """The number of lines after the last exception, once all were read."""
        return len(self._lines) - self._end

    def last_line(self) -> Raised | None:
        """Return the last line, if it has no part in any exception."""
        for number in range(len(self._lines) - 1, self._end - 1, -1):
            text = self._lines[number].strip()
            if text:
                raised = _parse_exception(text, ()) or Raised("", text)
                return replace(raised, is_last_line=True)
        return None

    def _raised_at(self, line: str, is_chained: bool) -> Raised | None:
        if line.endswith(HEADER):  # a progress bar may be before it
            return self._end_of_traceback(is_chained)
        if line.startswith(NATIVE):
            name = line.removeprefix(NATIVE).rstrip("'").rpartition("::")[2]
            return Raised(name, self._message("").strip().removeprefix("what():").strip())
        if line.startswith(FATAL):
            return Raised("FatalPythonError", line.removeprefix(FATAL))
        return None

    def _end_of_traceback(self, is_chained: bool) -> Raised | None:
        frames: list[Frame] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.rstrip().endswith(HEADER):
                return None
            self._at += 1
            frame = _FRAME.match(line) or _BARE_FRAME.match(line)
            if frame is not None:
                function = frame[3] if frame.re is _FRAME else ""
                frames = [*frames[-MAX_FRAMES:], Frame(frame[1], int(frame[2]), function)]
            elif line[:1] not in ("", " ", ">", "\t", "\r"):
                raised = _parse_exception(line, tuple(frames))
                if raised is None:
                    continue
                return Raised(raised.name, self._message(raised.message), raised.frames, is_chained)
        return None

    def _message(self, first: str) -> str:
        """Read the further lines of a message, up to the next thing that is logged."""
        kept = [first]
        for line in self._lines[self._at : self._at + MAX_MESSAGE_LINES]:
            text = line.strip()
            if text.endswith(HEADER) or text in CHAINED or _LOG_LINE.match(text):
                break
            if text.startswith((NATIVE, FATAL)):
                break
            kept.append(text)
            self._at += 1
        return "\n".join(kept)[:MAX_MESSAGE_CHARACTERS].strip()


def _parse_exception(line: str, frames: tuple[Frame, ...]) -> Raised | None:
    found = _EXCEPTION.match(line.strip())
    if found is None:
        return None
    name = found[1].rpartition(".")[2]
    # Within a traceback any class may follow; elsewhere only what is named like an exception.
    if not frames and not _NAME.search(name):
        return None
    return Raised(name, found[2] or "", frames)


def _without_prefix(line: str) -> str:
    for _ in range(3):
        found = _PREFIX.match(line)
        if found is None:
            break
        line = line[found.end() :]
    return line
