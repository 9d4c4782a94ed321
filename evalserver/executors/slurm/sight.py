"""What one look at the run directory of an attempt on a node finds.

The directory is on a network file system, so each look opens it again, component by component: this
is when such a file system asks its server for what has changed. Everything here may wait for a
disk: call it in a thread.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from evalserver.executors.base import Exit
from evalserver.executors.run_files import read_exit, started_at_of
from evalserver.executors.slurm.shared_directory import require_folder
from evalserver.executors.slurm.unseen_files import find_unseen
from evalserver.runner import files
from evalserver.system.untrusted_files import UntrustedDirectory, open_directory


@dataclass(frozen=True)
class Sight:
    """One look at a run directory.

    ``is_started`` says that a runner has taken the start lock. ``heartbeat`` changes while the
    runner can write. ``end`` is what ``exit.json`` says, ``doubt`` why it cannot be read.
    ``unseen`` is a file that the attempt has written, and that this machine does not see, or not
    whole.
    """

    exists: bool = True
    is_started: bool = False
    started_at: str | None = None
    heartbeat: int | None = None
    is_cancelled: bool = False
    end: Exit | None = None
    doubt: str | None = None
    unseen: str | None = None


def look_at(run_dir: Path) -> Sight:
    """Look at a run directory. Raises OSError if nothing can be said of it."""
    try:
        with open_directory(UntrustedDirectory.for_attempt(run_dir)) as folder:
            found = {name: _modified(name, folder) for name in NAMES}
    except FileNotFoundError:
        require_folder(run_dir)
        return Sight(exists=False)
    end = read_exit(run_dir) if found[files.EXIT_FILE] else None
    has_runner = found[files.RUNNER_FILE] is not None
    return Sight(
        is_started=has_runner or found[files.START_LOCK_FILE] is not None,
        started_at=started_at_of(run_dir) if has_runner else None,
        heartbeat=found[files.HEARTBEAT_FILE],
        is_cancelled=found[files.CANCEL_FILE] is not None,
        end=end if isinstance(end, Exit) else None,
        doubt=end.why if end is not None and not isinstance(end, Exit) else None,
        unseen=find_unseen(run_dir) if end is not None else None,
    )


def take_start_lock(run_dir: Path) -> bool:
    """Keep an attempt from being started from now on. Returns False if it was started before.

    Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):  # without its run directory, none can start
        return files.take_start_lock(run_dir)
    return True


NAMES = (
    files.START_LOCK_FILE, files.RUNNER_FILE, files.HEARTBEAT_FILE, files.CANCEL_FILE,
    files.EXIT_FILE,
)  # fmt: skip


def _modified(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return None
