"""Running attempts on this machine: starts their runners, and finds them again by their locks."""

import asyncio
import signal
from pathlib import Path

import structlog

from evalserver.executors import orphans
from evalserver.executors.base import (
    ExecutorError,
    Exit,
    KilledOrphans,
    Lost,
    ResourcesExhausted,
)
from evalserver.executors.run_directory import RunDirectoryExecutor
from evalserver.executors.run_files import read_exit
from evalserver.executors.runner_process import KILLED_WHILE_STOPPED, StoppedRunner, runner_exit
from evalserver.executors.runner_start import request_cancel, start_runner
from evalserver.runner import files
from evalserver.runner.launch_spec import LaunchSpec
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.executors")

RETRY_SECONDS = 5.0
"""Between two tries to look for a runner, after one that failed."""
LOOK_SECONDS = 2.0
MAX_START_SECONDS = 60.0
MAX_DESCRIBE_SECONDS = 60.0


class LocalExecutor(RunDirectoryExecutor):
    """The executor for the machine that the server runs on.

    It checks a runner every ``look_s`` seconds. The process that starts a runner is killed after
    ``max_start_s`` seconds; a runner that it has started by then is supervised as usual.
    """

    def __init__(
        self, look_s: float = LOOK_SECONDS, max_start_s: float = MAX_START_SECONDS
    ) -> None:
        self._look_s = look_s
        super().__init__(DiskThreads("reading a run directory", MAX_DESCRIBE_SECONDS))
        self._max_start_s = max_start_s

    async def start(self, spec: LaunchSpec) -> None:
        """Write the run directory and start its runner."""
        starting = asyncio.create_task(asyncio.to_thread(start_runner, spec, self._max_start_s))
        try:
            code = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The server is stopping: it must not leave a runner half started.
            await asyncio.wait([starting])
            raise
        if code == files.RESOURCES_EXHAUSTED:
            raise ResourcesExhausted(f"the runner cannot write into {spec.run_dir}")
        if code in (0, files.LOCK_BUSY, files.STARTED_BEFORE):
            return
        # The runner holds the lock from its fork on, so it is found whatever its parent returned.
        if await self.was_started(spec.run_dir):
            log.warning(
                "unexpected exit code of a process that started a runner",
                run_dir=str(spec.run_dir),
                exit_code=code,
            )
        elif code == -signal.SIGKILL:
            raise ResourcesExhausted(
                "the process that starts the runner was killed: out of memory, or because it"
                f" took more than {self._max_start_s:g} s"
            )
        else:
            runner_log = spec.run_dir / files.RUNNER_LOG_FILE
            raise ExecutorError(f"the runner ended with exit code {code}; see {runner_log}")

    async def was_started(self, run_dir: Path) -> bool:
        """Return whether there is a trace of a runner, or the run directory was removed."""
        return await asyncio.to_thread(_was_started, run_dir)

    async def wait(self, run_dir: Path) -> Exit | Lost:
        """Wait until the lock is free, then read what the runner wrote.

        If that cannot be checked (too many open files, a disk that does not answer), try again: a
        running evaluation must not be taken for one that has ended. A runner that is stopped
        (SIGSTOP) and so cannot carry out a cancel is continued, and in the end killed.
        """
        stopped = StoppedRunner(run_dir, self._look_s)
        while True:
            try:
                while files.lock_is_held(run_dir):
                    await runner_exit(run_dir, self._look_s)
                    await asyncio.to_thread(stopped.look)
                end = await asyncio.to_thread(read_exit, run_dir)
                is_killed = isinstance(end, Lost) and stopped.was_killed
                return Lost(KILLED_WHILE_STOPPED) if is_killed else end
            except OSError as error:
                log.error("cannot check an evaluation now; trying again", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def stop(self, run_dir: Path) -> None:
        """Create the file that the runner checks for several times a second."""
        await asyncio.to_thread(request_cancel, run_dir)

    async def kill_orphans(self, run_dir: Path, token: str) -> KilledOrphans:
        """Kill all processes in the attempt's cgroup or with its token, until none is left."""
        return await asyncio.to_thread(orphans.kill_orphans, run_dir, token)


def _was_started(run_dir: Path) -> bool:
    if not run_dir.is_dir():
        return True
    return (run_dir / files.RUNNER_FILE).exists() or files.lock_is_held(run_dir)
