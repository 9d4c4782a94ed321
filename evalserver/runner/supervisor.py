"""Supervises one attempt of a job, from its run directory (``files.py``).

An attempt is started at most once: if ``runner.json`` exists, a second runner exits.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from evalserver.runner.attempt import load_spec, now, run_attempt, write_exit
from evalserver.runner.cgroups import make_cgroup
from evalserver.runner.crash_point import crash_point
from evalserver.runner.files import (
    EXHAUSTION_ERRORS,
    LOCK_BUSY,
    LOCK_FILE,
    RESOURCES_EXHAUSTED,
    RUNNER_FILE,
    STARTED_BEFORE,
    Exit,
    boot_id,
    write_atomically,
)
from evalserver.runner.processes import become_subreaper
from evalserver.runner.stage_start import WarmStart
from evalserver.runner.watch import WAKE_SIGNALS

MAX_LOCK_SECONDS = 2.0


def main(run_dir: Path) -> int:
    """Start the runner in the background. Returns an exit code once it supervises, or cannot."""
    code = _claim(run_dir)
    if code is not None:
        return code
    ready, report = os.pipe()
    if os.fork() > 0:
        os.close(report)
        crash_point("runner_forked")
        return read_code(ready)
    os.close(ready)
    os.setsid()
    _supervise(run_dir, report, None)
    os._exit(0)


def run_forked(run_dir: Path, report: int, warm: WarmStart) -> None:
    """Be the runner, in a process that a warm parent has forked, and whose harness ``warm`` starts.

    What ``main`` returns is written into the pipe ``report``.
    """
    code = _claim(run_dir)
    if code is None:
        _supervise(run_dir, report, warm)
    else:
        report_code(report, code)


def read_code(ready: int) -> int:
    """Return the code from a runner's pipe; 1 if it has ended before. Closes the pipe."""
    try:
        code = os.read(ready, 1)
    finally:
        os.close(ready)
    return code[0] if code else 1


def report_code(report: int, code: int) -> None:
    """Write a code into a runner's pipe."""
    # The process that reads it may have been killed. The runner continues without it.
    with suppress(BrokenPipeError):
        os.write(report, bytes([code]))


def _claim(run_dir: Path) -> int | None:
    """Make this process and its forks the only runner; return an exit code if that is impossible.

    The lock is held until the last of them ends.
    """
    try:
        lock = _take_lock(run_dir)
    except OSError as error:
        if error.errno not in EXHAUSTION_ERRORS:
            raise
        return RESOURCES_EXHAUSTED
    if lock is None:
        return LOCK_BUSY
    return STARTED_BEFORE if (run_dir / RUNNER_FILE).exists() else None


def _take_lock(run_dir: Path) -> int | None:
    descriptor = os.open(run_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + MAX_LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            # The server may hold it for a moment, to check whether a runner is alive.
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)


def _supervise(run_dir: Path, report: int, warm: WarmStart | None) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKE_SIGNALS)
    become_subreaper()
    started_at = now()
    crash_point("runner_locked")
    cgroup = make_cgroup(run_dir)
    started = {
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "started_at": started_at,
        "cgroup": None if cgroup is None else str(cgroup.path),
    }
    try:
        write_atomically(run_dir / RUNNER_FILE, started)
    except OSError as error:
        if cgroup is not None:
            cgroup.remove()
        if error.errno not in EXHAUSTION_ERRORS:
            raise
        report_code(report, RESOURCES_EXHAUSTED)
        return
    crash_point("runner_started")
    report_code(report, 0)
    os.close(report)
    spec = load_spec(run_dir, started_at)
    end = spec if isinstance(spec, Exit) else run_attempt(spec, cgroup, started_at, warm)
    if cgroup is not None:
        cgroup.remove()
    crash_point("runner_ending")
    write_exit(run_dir, end)
