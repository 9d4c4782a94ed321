"""The files of a run directory: the interface between server and runner.

    job.json     read    what to run: see ``launch_spec.py``
    cancel       read    exists when the attempt is to be stopped
    lock         held    with flock, while the runner is alive
    runner.json  written once, at the start: pid, boot_id, started_at, cgroup (a path, or null); on
                 a node also host and slurm_job_id (null if it is unknown)
    processes.json  written about once a second, if changed: the runner and its descendants, as
                 pid, start (ticks since the boot) and session; and the inode of their output pipe
    eval.log     written the harness's stdout and stderr, secrets masked
    outputs.json  written by a runner on a node before ``exit.json``: see ``written_files.py``
    exit.json    written once, as the last act: see ``Exit``
    start.json   written by the server before the start, and by a runner that starts its harness
                 cold after a warm start failed: see ``write_start``
    started      created (O_EXCL) by a runner on a node before anything else: nobody else may start
    heartbeat    written every few seconds by a runner on a node: the time, as JSON
    runner.log   written errors of the runner itself

A runner is alive while its lock is held. On a node, where locks may not reach the server, it has
no lock: it is alive while ``heartbeat`` changes. How the attempt ended is in ``exit.json``.
"""

from __future__ import annotations

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
OUTPUTS_FILE = "outputs.json"
START_FILE = "start.json"
RUNNER_LOG_FILE = "runner.log"
START_LOCK_FILE = "started"
HEARTBEAT_FILE = "heartbeat"

LOCK_BUSY = 75
"""Exit code of a runner: another one holds the run directory."""
STARTED_BEFORE = 76
"""Exit code of a runner: this attempt was started before, and is not started twice."""
RESOURCES_EXHAUSTED = 77
"""Exit code of a runner: it cannot write into the run directory, and has started nothing."""
STARTED_ELSEWHERE = 98
"""Exit code of a runner on a node: another one, there or elsewhere, has taken the start lock."""
CUT_OFF = 99
"""Exit code of a runner on a node: it could not write into the run directory for ``max_silence_s``,
and has killed its harness. There is no ``exit.json``."""

EXHAUSTION_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN,
}  # fmt: skip
"""Temporary errors: the machine has run out of disk, memory, processes or file descriptors."""

START_LOCK_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
LOCK_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_LOCK_ERRORS = {errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.ENXIO}
"""Errors of opening the lock when it does not exist, or is no regular file."""


@dataclass(frozen=True)
class Exit:
    """The contents of ``exit.json``.

    ``reason`` is ``exited`` (by itself), ``cancelled``, ``timed_out``, ``terminated`` (the runner
    got a signal, as at a shutdown of the machine) or ``not_started`` (``error`` says why).
    ``exit_code`` is the harness's, 128 + n when signal n ended it, None if it never ran.
    ``leftovers`` counts the processes that outlived the harness and were ended.
    ``stage`` names the earlier stage in which it ended; None: it reached the harness.
    ``out_of_memory`` is what the kernel recorded, as a sentence, if it killed processes of the
    attempt for lack of memory.
    """

    reason: str
    exit_code: int | None
    started_at: str
    ended_at: str
    leftovers: int = 0
    error: str | None = None
    stage: str | None = None
    out_of_memory: str | None = None


def lock_is_held(run_dir: Path) -> bool:
    """Return whether a running runner holds the lock. Raises OSError if that is unknown."""
    try:
        descriptor = os.open(run_dir / LOCK_FILE, LOCK_FLAGS)
    except OSError as error:
        if error.errno in NO_LOCK_ERRORS:
            return False
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def take_start_lock(run_dir: Path) -> bool:
    """Create the start lock, which is never removed: an attempt is started once, also where locks
    do not reach. Returns False if it was started before. Raises OSError.

    The creation is atomic on network file systems, too.
    """
    if os.path.lexists(run_dir / RUNNER_FILE):
        return False
    try:
        os.close(os.open(run_dir / START_LOCK_FILE, START_LOCK_FLAGS, 0o600))
    except FileExistsError:
        return False
    return True


def write_atomically(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file atomically and durably: also after a power cut it is complete or absent.

    Whatever a harness has created under that name is replaced.
    """
    # A random name: a harness may have created a FIFO or a directory under a predictable one.
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


def write_start(run_dir: Path, why_cold: str | None) -> None:
    """Write how the attempt is started: ``{"start": "warm"}``, or ``{"start": "cold", "why": ..}``
    if there is a reason. Raises OSError."""
    start = {"start": "warm"} if why_cold is None else {"start": "cold", "why": why_cold}
    replace_file(run_dir / START_FILE, json.dumps(start))


def replace_file(path: Path, text: str) -> None:
    """Write a file atomically, but not durably: it may be lost in a power cut."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.draft-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def boot_id() -> str:
    """Return the id that the kernel gave to the current boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
