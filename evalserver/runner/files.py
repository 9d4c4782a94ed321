"""The files of a run directory: the runner's whole interface.

    job.json     read    what to run: see ``launch_spec.py``
    cancel       read    appears when the attempt is to be stopped
    lock         held    with flock, for as long as the runner lives
    runner.json  written once, at the start: pid, boot_id, started_at, cgroup (a path, or null)
    processes.json  written about once a second, if changed: the runner and its descendants, as
                 pid, start (ticks since the boot) and session; and the inode of their output pipe
    eval.log     written the harness's stdout and stderr, secrets masked
    exit.json    written once, as the last act: see ``Exit``
    runner.log   written what the runner itself complains of

Is it alive? Try the lock. What happened? Read ``exit.json``.
"""

import errno
import fcntl
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent
"""What ``python -I -S`` runs to become a runner; its argument is the run directory."""

JOB_FILE = "job.json"
CANCEL_FILE = "cancel"
LOCK_FILE = "lock"
RUNNER_FILE = "runner.json"
PROCESSES_FILE = "processes.json"
LOG_FILE = "eval.log"
EXIT_FILE = "exit.json"
RUNNER_LOG_FILE = "runner.log"

LOCK_BUSY = 75
"""Exit code of a runner: another one holds the run directory."""
STARTED_BEFORE = 76
"""Exit code of a runner: this attempt was started before; it is never started twice."""
RESOURCES_EXHAUSTED = 77
"""Exit code of a runner: it cannot write into the run directory, and has started nothing."""

EXHAUSTION_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN,
}  # fmt: skip
"""Errors that pass: the machine has no disk, memory, process or open file left right now."""


LOCK = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_LOCK = {errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.ENXIO}
"""What the kernel says where there is no lock, or something else in its place."""


@dataclass(frozen=True)
class Exit:
    """What ``exit.json`` says.

    ``reason`` is ``exited`` (by itself), ``cancelled``, ``timed_out``, ``terminated`` (the runner
    itself was told to stop, by a shutdown of the machine) or ``not_started`` (``error`` says why).
    ``exit_code`` is the harness's, 128 + n when signal n ended it, None if it never ran.
    ``leftovers`` counts the processes that outlived the harness and were ended.
    ``stage`` names the command line before the harness's at which it ended; None: it got further.
    """

    reason: str
    exit_code: int | None
    started_at: str
    ended_at: str
    leftovers: int = 0
    error: str | None = None
    stage: str | None = None


def lock_is_held(run_dir: Path) -> bool:
    """Does a living runner hold this run directory?"""
    try:
        descriptor = os.open(run_dir / LOCK_FILE, LOCK)
    except OSError as error:
        if error.errno in NO_LOCK:
            return False
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_whole(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all, also after a power cut.

    What a harness has put in its place gives way.
    """
    # Under a new name: what has the name of a draft may be a FIFO, or a directory.
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.draft-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        if path.is_dir() and not path.is_symlink():
            path.rename(f"{draft}.replaced")
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader finds it whole; a power cut may take it away."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.draft-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def boot_id() -> str:
    """What names the time since the machine was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
