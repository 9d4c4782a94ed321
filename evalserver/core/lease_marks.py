"""Marks of leases: the small files in a checkpoint that ask for it to be kept.

Trainers read them without the server. What is not said to be complete, or cannot be read, counts as
needed.
"""

import json
import os
from pathlib import Path
from typing import Any

PREFIX, SUFFIX = ".evalserver-lease-", ".json"
STATE, NEEDED, COMPLETE = "state", "needed", "complete"
MAX_BYTES = 64 * 1024


def mark_name(job_id: str) -> str:
    """Return the name of the file with which a job marks its checkpoint."""
    return f"{PREFIX}{job_id}{SUFFIX}"


def is_leased(path: str | os.PathLike[str]) -> bool:
    """Return whether a mark in the directory ``path``, or below it, asks for it to be kept.

    A directory or mark that cannot be read counts as needed; a path that does not exist does not.
    Asks no server: ``EvalClient.in_use`` does, and knows of jobs without a mark, too.
    """
    is_unreadable = False

    def on_error(error: OSError) -> None:
        nonlocal is_unreadable
        is_unreadable = is_unreadable or not isinstance(error, FileNotFoundError)

    for folder, _, names in os.walk(Path(path), onerror=on_error):
        marks = [name for name in names if name.startswith(PREFIX) and name.endswith(SUFFIX)]
        if any(_is_needed(Path(folder, name)) for name in marks):
            return True
    return is_unreadable and Path(path).is_dir()


def mark_text(job_id: str, state: str) -> bytes:
    """Return the content of a mark."""
    return json.dumps({"job_id": job_id, STATE: state}).encode() + b"\n"


def _is_needed(mark: Path) -> bool:
    try:
        # What blocks, or leads elsewhere, is no mark that could be read.
        opened = os.open(mark, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            content: Any = json.loads(file.read(MAX_BYTES))
    except FileNotFoundError:
        return False  # it was removed meanwhile
    except (OSError, ValueError, RecursionError):
        return True
    return not (isinstance(content, dict) and content.get(STATE) == COMPLETE)
