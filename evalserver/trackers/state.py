"""How far a follower came: a small file that survives crashes, and a lock against a second one."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalserver.core.durable_files import write_durably

VERSION = 1

CURSOR_NAME = "cursor.json"
LOCK_NAME = "lock"


class StateTaken(Exception):
    """Another follower uses this state; says which."""


class DamagedState(Exception):
    """The file with the cursor cannot be used; says why, and what to do."""


class State:
    """The state of one follower; made by ``open_state``."""

    def __init__(self, directory: Path, about: Mapping[str, Any]) -> None:
        self.directory = directory
        self._about = about

    def load(self) -> int | None:
        """Return the id of the last event that the destination has; None at the first start.

        Raises DamagedState.
        """
        path = self.directory / CURSOR_NAME
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        advice = f"remove {path}, and the follower begins with the oldest job again"
        try:
            content = json.loads(text)
            version, cursor = content["version"], content["cursor"]
        except (ValueError, TypeError, KeyError):
            raise DamagedState(f"{path} is damaged; {advice}") from None
        if version != VERSION:
            raise DamagedState(f"{path} is of version {version!r} of its format, which this"
                               f" evalserver does not know; upgrade it, or {advice}")  # fmt: skip
        if isinstance(cursor, bool) or not isinstance(cursor, int) or cursor < 0:
            raise DamagedState(f"{path} has no valid cursor; {advice}")
        return cursor

    def save(self, cursor: int) -> None:
        """Keep the id, also through a power cut. Raises OSError."""
        content = {"version": VERSION, **self._about, "cursor": cursor}
        write_durably(self.directory / CURSOR_NAME, f"{json.dumps(content, indent=2)}\n".encode())


@contextmanager
def open_state(
    root: Path, server: str, to: str, place: str, filters: Sequence[str]
) -> Iterator[State]:
    """Open and lock the state for a server, a destination and filters, in a directory for it.

    Raises StateTaken, and OSError if the directory cannot be written.
    """
    about = {"server": server, "to": to, "place": place, "filters": list(filters)}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    directory = root / f"{to}-{digest}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(directory / LOCK_NAME, f"{to} at {place}"):
        yield State(directory, about)


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """Return where the state of followers is kept unless an option says otherwise."""
    root = environment.get("XDG_STATE_HOME", "")
    base = Path(root) if root.startswith("/") else Path.home() / ".local" / "state"
    return base / "evalserver" / "follow"


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file during the block. Raises StateTaken with ``what`` is taken, OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
            raise StateTaken(
                f"another 'evalserver follow'{f', pid {owner},' if owner else ''} is sending to"
                f" {what}, and holds {path}; stop that one first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
