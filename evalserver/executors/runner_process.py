"""The process of a runner, seen from the server: waiting for its end, and making sure that a runner
which was stopped (SIGSTOP) does not block a cancel."""

import asyncio
import os
import signal
import time
from pathlib import Path

import structlog

from evalserver.executors.run_files import runner_pid
from evalserver.runner import files
from evalserver.runner.procfs import (
    Process,
    all_processes,
    command_line,
    read_process,
    send_signal,
)

log = structlog.get_logger("evalserver.executors")

POLL_SECONDS = 0.2
"""Between two checks of a runner that has not recorded its pid yet."""
MAX_CONTINUES = 2
"""How often a stopped runner is continued. If it is stopped again after that, it is killed."""
STOPPED_STATES = "Tt"
KILLED_WHILE_STOPPED = "it was stopped and did not carry out a cancel, so it was killed"
PROGRAM = os.fsencode(Path(*files.PROGRAM.parts[-2:]))


async def runner_exit(run_dir: Path, limit_s: float) -> None:
    """Return when the runner has probably ended (known from its pidfd), or after ``limit_s``."""
    descriptor = _open_pidfd(run_dir)
    if descriptor is None:
        await asyncio.sleep(min(POLL_SECONDS, limit_s))
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(limit_s):
            await ended.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _open_pidfd(run_dir: Path) -> int | None:
    pid = runner_pid(run_dir)
    if pid is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    # While the lock is held, the runner is alive, so that the pid cannot have been reused.
    if files.lock_is_held(run_dir):
        return descriptor
    os.close(descriptor)
    return None


class StoppedRunner:
    """Continues a runner that is stopped while it should carry out a cancel, and kills it if that
    does not help. A runner that is slow, or waits for a disk, is in another state and left alone.
    """

    def __init__(self, run_dir: Path, look_s: float) -> None:
        self._run_dir = run_dir
        self._look_s = look_s
        self._look_at = 0.0
        self._continues = 0
        self.was_killed = False

    def look(self) -> None:
        """Check the runner, at most every ``look_s`` seconds. Raises OSError."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._look_s
        if not os.path.lexists(self._run_dir / files.CANCEL_FILE):
            return
        stopped = [each for each in _find_runners(self._run_dir) if each.state in STOPPED_STATES]
        if not stopped or not files.lock_is_held(self._run_dir):
            return
        pids = [each.pid for each in stopped]
        if self._continues < MAX_CONTINUES:
            self._continues += 1
            log.warning("a stopped runner blocks a cancel; continuing it", pids=pids)
            for each in stopped:
                send_signal(each, signal.SIGCONT)
        else:
            log.error("a runner was stopped repeatedly; killing it", pids=pids)
            for each in stopped:
                send_signal(each, signal.SIGKILL)
            self.was_killed = True


def _find_runners(run_dir: Path) -> list[Process]:
    """Return the runner that has recorded its pid; before that, all that run its program there."""
    pid = runner_pid(run_dir)
    if pid is not None:
        process = read_process(pid)
        return [process] if process is not None and _is_runner(process.pid) else []
    return [each for each in all_processes() if _is_runner(each.pid, run_dir)]


def _is_runner(pid: int, run_dir: Path | None = None) -> bool:
    argv = command_line(pid)
    program, directory = argv[-2:] if len(argv) > 1 else (b"", b"")
    return program.endswith(b"/" + PROGRAM) and (
        run_dir is None or directory == os.fsencode(run_dir)
    )
