"""Reading the end of a harness's log, and the error in it."""

import re
from pathlib import Path

from evalserver.core.plain_text import plain_text
from evalserver.system.attempt_log import open_log
from evalserver.system.untrusted_files import MissingFile, UnreadableFile

LINES = 50
BYTES = 16 * 1024
MAX_CAUSE_LENGTH = 500
FRAMES = 4
"""Of a traceback that are kept in an error: the log has all."""

TRACEBACK = "Traceback (most recent call last):"
FRAME = 'File "'

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
    return last_lines(text, most_bytes, lines)


def last_lines(text: str, most_bytes: int, lines: int = LINES) -> str:
    """Return the last lines of a text that are not empty, at most ``most_bytes`` of UTF-8."""
    kept = "\n".join([line for each in text.split("\n") if (line := each.rstrip())][-lines:])
    return kept.encode()[-most_bytes:].decode(errors="ignore")


def shorten_tracebacks(text: str, most_frames: int = FRAMES) -> str:
    """Leave only the last frames in each of Python's tracebacks, and say how many are left out."""
    kept: list[str] = []
    frames: list[list[str]] | None = None
    for line in [*text.split("\n"), ""]:
        if frames is not None:
            if FRAME in line[:10]:
                frames.append([line])
                continue
            if line.startswith("  ") and frames:
                frames[-1].append(line)
                continue
            kept += _shortened(frames, most_frames)
            frames = None
        kept.append(line)
        if line.rstrip().endswith(TRACEBACK):
            frames = []
    return "\n".join(kept[:-1])


def _shortened(frames: list[list[str]], most_frames: int) -> list[str]:
    left_out = len(frames) - most_frames
    if left_out <= 0:
        return [line for frame in frames for line in frame]
    unit = "frame" if left_out == 1 else "frames"
    last = [line for frame in frames[-most_frames:] for line in frame]
    return [f"  ... {left_out} {unit} left out ...", *last]


def cause(log_tail: str) -> str | None:
    """Return the last line that names an exception, or None."""
    for line in reversed(log_tail.splitlines()):
        text = line.strip()
        if _EXCEPTION.match(text):
            return text if len(text) <= MAX_CAUSE_LENGTH else f"{text[: MAX_CAUSE_LENGTH - 1]}…"
    return None
