"""The runner's program: supervises one attempt of a job, from its run directory.

    python -I -S supervisor.py RUN_DIR

Standard library only, and nothing of evalserver: it starts in milliseconds, runs anywhere, and
goes on whatever becomes of the server. Its whole interface is the files of the run directory:

    job.json     read    what to run: see ``Job``
    cancel       read    appears when the attempt is to be stopped
    lock         held    with flock, for as long as the runner lives
    runner.json  written once, at the start: pid, boot_id, started_at
    eval.log     written by the harness: its stdout and stderr
    exit.json    written once, as the last act: see ``Exit``

Is it alive? Try the lock. What happened? Read ``exit.json``. An attempt is started at most once:
where ``runner.json`` is, a second runner refuses.
"""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JOB_FILE = "job.json"
CANCEL_FILE = "cancel"
LOCK_FILE = "lock"
RUNNER_FILE = "runner.json"
LOG_FILE = "eval.log"
EXIT_FILE = "exit.json"
RUNNER_LOG_FILE = "runner.log"

LOCK_BUSY = 75
"""Exit code: another runner holds the run directory."""
STARTED_BEFORE = 76
"""Exit code: this attempt was started before; it is never started twice."""

POLL_SECONDS = 0.2
LOCK_PATIENCE_SECONDS = 2.0
LEFTOVER_GRACE_SECONDS = 5.0
DISK_RETRY_SECONDS = 1.0
SHELL_NOT_FOUND = 127
PR_SET_CHILD_SUBREAPER = 36
WOKEN_BY = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(frozen=True)
class Job:
    """What ``job.json`` says: the command line, where and with which environment it runs, how long
    it may take (None: for ever), and the seconds between TERM and KILL when it is stopped."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    timeout_s: float | None
    grace_s: float


@dataclass(frozen=True)
class Exit:
    """What ``exit.json`` says.

    ``reason`` is ``exited`` (by itself), ``cancelled``, ``timed_out``, ``terminated`` (the runner
    itself was told to stop, by a shutdown of the machine) or ``not_started`` (``error`` says why).
    ``exit_code`` is the harness's, 128 + n when signal n ended it, None if it never ran.
    ``leftovers`` counts the processes that outlived the harness and were ended.
    """

    reason: str
    exit_code: int | None
    started_at: str
    ended_at: str
    leftovers: int = 0
    error: str | None = None


def lock_is_held(run_dir: Path) -> bool:
    """Does a living runner hold this run directory?"""
    try:
        descriptor = os.open(run_dir / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_whole(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all, also after a power cut."""
    draft = path.with_name(path.name + ".draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def main(run_dir: Path) -> int:
    """Become the runner of ``run_dir`` in the background; returns when it is supervising."""
    lock = _take_lock(run_dir)
    if lock is None:
        return LOCK_BUSY
    if (run_dir / RUNNER_FILE).exists():
        return STARTED_BEFORE
    ready, tell = os.pipe()
    if os.fork() > 0:
        os.close(tell)
        return 0 if os.read(ready, 1) else 1
    os.close(ready)
    os.setsid()
    _supervise(run_dir, tell)
    os._exit(0)


def _take_lock(run_dir: Path) -> int | None:
    descriptor = os.open(run_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    patience = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            # Somebody may only be trying the lock, to see whether a runner lives.
            if time.monotonic() > patience:
                return None
            time.sleep(0.02)


def _supervise(run_dir: Path, tell: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, WOKEN_BY)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started_at = _now()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    started = {"pid": os.getpid(), "boot_id": boot_id, "started_at": started_at}
    write_whole(run_dir / RUNNER_FILE, started)
    os.write(tell, b"1")
    os.close(tell)
    _write_exit(run_dir / EXIT_FILE, _run(run_dir, started_at))


def _write_exit(path: Path, end: Exit) -> None:
    """Write ``exit.json``, however long a full disk takes to have room for it again."""
    while path.parent.is_dir():
        try:
            write_whole(path, asdict(end))
            return
        except OSError:
            # Not a word of it: the runner's own log is on the same disk.
            time.sleep(DISK_RETRY_SECONDS)


def _run(run_dir: Path, started_at: str) -> Exit:
    try:
        job = Job(**json.loads((run_dir / JOB_FILE).read_text(encoding="utf-8")))
        if (run_dir / CANCEL_FILE).exists():
            return Exit("cancelled", None, started_at, _now())
        harness = _start(job, run_dir / LOG_FILE)
    except (OSError, ValueError, TypeError) as error:
        return Exit("not_started", SHELL_NOT_FOUND, started_at, _now(), error=str(error))
    reason, status = _Watch(run_dir, job, harness).until_it_ends()
    leftovers = _end_leftovers(min(job.grace_s, LEFTOVER_GRACE_SECONDS))
    return Exit(reason, _exit_code(status), started_at, _now(), leftovers)


def _start(job: Job, log: Path) -> int:
    with log.open("ab", buffering=0) as output:
        process = subprocess.Popen(  # noqa: S603 - the command line was built as a list
            job.argv,
            cwd=job.cwd,
            env=job.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_unblock_signals,
        )
    # Reaped by waitpid like every other descendant, not by subprocess.
    process.returncode = 0
    return process.pid


def _unblock_signals() -> None:
    """The runner blocks its signals to wait for them; the harness must not inherit that."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


class _Watch:
    """Waits for the harness, and stops its whole tree when that is asked or due."""

    def __init__(self, run_dir: Path, job: Job, harness: int) -> None:
        self._cancel = run_dir / CANCEL_FILE
        self._grace_s = job.grace_s
        self._deadline = None if job.timeout_s is None else time.monotonic() + job.timeout_s
        self._harness = harness
        self._terminated = False
        self._kill_at: float | None = None

    def until_it_ends(self) -> tuple[str, int]:
        """Why it ended, and the harness's wait status."""
        reason = "exited"
        while True:
            status = _reap(self._harness)
            if status is not None:
                return reason, status
            if self._kill_at is None:
                reason = self._reason_to_stop() or reason
            elif time.monotonic() >= self._kill_at:
                _signal_descendants(signal.SIGKILL)
            self._sleep()

    def _reason_to_stop(self) -> str | None:
        reason = self._due()
        if reason is not None:
            _signal_descendants(signal.SIGTERM)
            self._kill_at = time.monotonic() + self._grace_s
        return reason

    def _due(self) -> str | None:
        if self._cancel.exists():
            return "cancelled"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "timed_out"
        return "terminated" if self._terminated else None

    def _sleep(self) -> None:
        received = signal.sigtimedwait(WOKEN_BY, POLL_SECONDS)
        if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
            self._terminated = True


def _reap(wanted: int | None = None) -> int | None:
    """Reap every dead descendant; returns the wait status of ``wanted`` if it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == wanted:
            found = status


def _end_leftovers(grace_s: float) -> int:
    """End what the harness left behind, and count it: TERM, a grace, then KILL until none is."""
    leftovers = len(_descendants())
    _signal_descendants(signal.SIGTERM)
    kill_at = time.monotonic() + grace_s
    while True:
        _reap()
        if not _descendants():
            return leftovers
        if time.monotonic() >= kill_at:
            _signal_descendants(signal.SIGKILL)
        time.sleep(0.02)


def _signal_descendants(signum: int) -> None:
    for pid in _descendants():
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def _descendants() -> list[int]:
    """Every process below the runner. As a subreaper it inherits orphans, so none gets away."""
    parents = dict(_processes())
    found: list[int] = []
    generation = {os.getpid()}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation}
        found.extend(generation)
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """Pid and parent of every process that is not a zombie."""
    for entry in os.listdir("/proc"):  # noqa: PTH208 - many entries, names are all it takes
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                # The name, in parentheses, may hold anything: the fields begin after the last one.
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if state != "Z":
            yield int(entry), int(parent)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
