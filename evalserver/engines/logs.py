"""Reading the end of a harness's log: its last lines, and what it says went wrong."""

import re
from pathlib import Path

LINES = 50
BYTES = 16 * 1024

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit|Killed)\b.*")


def tail(path: Path, lines: int = LINES, most_bytes: int = BYTES) -> str:
    """The last lines of a log, at most ``most_bytes`` of UTF-8; empty if there is no log.

    Reads the end of the file alone. Colours are removed, and of a progress bar that was redrawn
    only its last state is kept.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 16 * most_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    kept = "\n".join(_plain_lines(text)[-lines:])
    return kept.encode()[-most_bytes:].decode(errors="ignore")


def cause(log_tail: str) -> str | None:
    """The last line that names an exception, or None."""
    for line in reversed(log_tail.splitlines()):
        if _EXCEPTION.match(line.strip()):
            return line.strip()[:500]
    return None


def _plain_lines(text: str) -> list[str]:
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return [plain for line in lines if (plain := _COLOUR.sub("", line).rstrip())]
