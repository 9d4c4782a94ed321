"""Runs attempts on this machine: starts their runners, and finds them again by their locks."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import structlog

from evalserver.executors import orphans
from evalserver.executors.base import Attempt, ExecutorError, Exit, Lost, NoRoom, Strays
from evalserver.executors.run_files import read_exit
from evalserver.executors.runner_process import KILLED_SINCE_STOPPED, StoppedRunner, runner_exit
from evalserver.executors.signs import TOKEN_VARIABLE
from evalserver.runner import cgroups, crash_point, files

log = structlog.get_logger("evalserver.executors")

RUNNERS_OWN = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    crash_point.VARIABLE,
    crash_point.STOP_VARIABLE,
    cgroups.VARIABLE,
)
"""Of the server's own environment, what a runner is given."""

OWN_FILE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW_FILE = OWN_FILE | os.O_EXCL

RECHECK_SECONDS = 5.0
"""Until a runner is looked for again that cannot be looked for now."""
LOOK_SECONDS = 2.0
MAX_START_SECONDS = 60.0


class LocalExecutor:
    """Executor for the machine that the server runs on.

    A runner is looked at every ``look_s`` seconds. Who starts one may take ``max_start_s``
    seconds: it is killed then, and what it has started is attended.
    """

    def __init__(
        self, look_s: float = LOOK_SECONDS, max_start_s: float = MAX_START_SECONDS
    ) -> None:
        self._look_s = look_s
        self._max_start_s = max_start_s

    async def reserve(self, run_dir: Path) -> None:
        """Make the run directory; where that fails, ``start`` will say why."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(run_dir.mkdir, parents=True, exist_ok=True)

    async def start(self, attempt: Attempt) -> None:
        """Write the run directory and start its runner."""
        starting = asyncio.create_task(asyncio.to_thread(_start, attempt, self._max_start_s))
        try:
            code = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The server stops right now: it sees this runner off before it goes.
            await asyncio.wait([starting])
            raise
        if code == files.NO_ROOM:
            raise NoRoom(f"the runner cannot write into {attempt.run_dir}")
        if code in (0, files.LOCK_BUSY, files.STARTED_BEFORE):
            return
        # The runner has the lock from its fork on: whatever became of who started it, it is seen.
        if await asyncio.to_thread(self.was_started, attempt.run_dir):
            log.warning(
                "the start of a runner ended oddly", run_dir=str(attempt.run_dir), exit_code=code
            )
        elif code == -signal.SIGKILL:
            raise NoRoom(
                "the process that starts the runner was killed: for want of memory, or since it"
                f" took more than {self._max_start_s:g} s"
            )
        else:
            complaints = attempt.run_dir / files.RUNNER_LOG_FILE
            raise ExecutorError(f"the runner ended with exit code {code}; see {complaints}")

    def was_started(self, run_dir: Path) -> bool:
        """Is there a sign of a runner, living or dead? A directory that is gone is one."""
        if not run_dir.is_dir():
            return True
        return (run_dir / files.RUNNER_FILE).exists() or files.lock_is_held(run_dir)

    async def wait(self, run_dir: Path) -> Exit | Lost:
        """Wait until the lock is free, then read what the runner wrote.

        Where that cannot be seen now (too many files are open, a disk does not answer), it is
        looked for again: nobody may take a living evaluation for one that has ended. A runner that
        is stopped, and so cannot carry out a cancel, is continued, and killed in the end.
        """
        stopped = StoppedRunner(run_dir, self._look_s)
        while True:
            try:
                while files.lock_is_held(run_dir):
                    await runner_exit(run_dir, self._look_s)
                    await asyncio.to_thread(stopped.look)
                end = await asyncio.to_thread(read_exit, run_dir)
                is_killed = isinstance(end, Lost) and stopped.was_killed
                return Lost(KILLED_SINCE_STOPPED) if is_killed else end
            except OSError as error:
                log.error("cannot look after an evaluation now; trying again", error=str(error))
                await asyncio.sleep(RECHECK_SECONDS)

    async def stop(self, run_dir: Path) -> None:
        """Leave word for the runner; it looks several times a second."""
        await asyncio.to_thread(_leave_word, run_dir)

    async def end_strays(self, run_dir: Path, token: str) -> Strays:
        """Kill all that is in the attempt's cgroup or carries its token, until none is left."""
        return await asyncio.to_thread(orphans.end_strays, run_dir, token)


def _leave_word(run_dir: Path) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    # What a harness puts in its place is as good: the runner looks for the name alone.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(run_dir / files.CANCEL_FILE, NEW_FILE, 0o600))


def _start(attempt: Attempt, max_start_s: float) -> int:
    try:
        _prepare(attempt)
        return _start_runner(attempt.run_dir, max_start_s)
    except OSError as error:
        kind = NoRoom if error.errno in files.RUN_OUT else ExecutorError
        where = error.filename or attempt.run_dir
        raise kind(f"cannot prepare {where}: {error.strerror}") from error


def _prepare(attempt: Attempt) -> None:
    attempt.run_dir.mkdir(parents=True, exist_ok=True)
    for directory in attempt.directories:
        directory.mkdir(parents=True, exist_ok=True)
    for name, text in attempt.files.items():
        _write_private(attempt.run_dir / name, text)
    job = files.Job(
        argv=list(attempt.argv),
        cwd=str(attempt.cwd),
        env={**attempt.env, TOKEN_VARIABLE: attempt.token},
        timeout_s=attempt.timeout_s,
        grace_s=attempt.grace_s,
        secrets=list(attempt.secrets),
        before={stage: list(argv) for stage, argv in attempt.before.items()},
    )
    _write_private(attempt.run_dir / files.JOB_FILE, json.dumps(asdict(job)))


def _write_private(path: Path, text: str) -> None:
    # Arguments and environments hold keys: nobody but the owner may read them.
    descriptor = _open_own(path, os.O_TRUNC)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _open_own(path: Path, how: int) -> int:
    """A file of ours in a run directory, where an earlier attempt may have left something else."""
    descriptor = os.open(path, OWN_FILE | how, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, "something that is no file is in its place", str(path))
    return descriptor


def _start_runner(run_dir: Path, max_start_s: float) -> int:
    """Run the runner's program, which goes into the background by itself; returns its exit code."""
    descriptor = _open_own(run_dir / files.RUNNER_LOG_FILE, os.O_APPEND)
    with os.fdopen(descriptor, "ab") as complaints:
        try:
            return subprocess.run(  # noqa: S603 - our own program, with a path of our own making
                [sys.executable, "-I", "-S", str(files.PROGRAM), str(run_dir)],
                # Every process of the same user can read it, the harness among them.
                env={name: os.environ[name] for name in RUNNERS_OWN if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
                start_new_session=True,
                check=False,
                timeout=max_start_s,
            ).returncode
        except subprocess.TimeoutExpired:  # it has been killed: stopped, or waiting for a disk
            return -signal.SIGKILL
