"""Reading the end of a harness's log, and the error in it."""

import re
from pathlib import Path

from evalserver.core.plain_text import plain_text
from evalserver.system.attempt_log import open_log
from evalserver.system.untrusted_files import MissingFile, UnreadableFile

LINES = 50
BYTES = 16 * 1024

_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit|Killed)\b.*")


def tail(run_dir: Path, lines: int = LINES, most_bytes: int = BYTES) -> str:
    """The last lines of an attempt's log, at most ``most_bytes`` of UTF-8; empty without a log.

    Reads the end of the file alone; of one that cannot be read it says why. Colours are removed,
    and of a progress bar that was redrawn only its last state is kept.
    """
    try:
        with open_log(run_dir) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 16 * most_bytes))
            text = plain_text(file.read(16 * most_bytes))
    except MissingFile:
        return ""
    except (OSError, UnreadableFile) as error:
        return f"It cannot be read: {error}"
    kept = "\n".join([line for each in text.split("\n") if (line := each.rstrip())][-lines:])
    return kept.encode()[-most_bytes:].decode(errors="ignore")


def cause(log_tail: str) -> str | None:
    """Return the last line that names an exception, or None."""
    for line in reversed(log_tail.splitlines()):
        if _EXCEPTION.match(line.strip()):
            return line.strip()[:500]
    return None
