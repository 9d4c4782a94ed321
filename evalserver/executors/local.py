"""Running attempts on this machine: starts their runners, and finds them again by their locks."""

import asyncio
import signal
from collections.abc import Callable
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
from evalserver.executors.runner_start import (
    has_trace_of_runner,
    prepare_start,
    record_start,
    request_cancel,
    runner_environment,
    start_cold,
)
from evalserver.executors.warm import NO_ANSWER, WarmParent, WarmParents
from evalserver.runner import files
from evalserver.runner.launch_spec import ColdStart, LaunchSpec
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.executors")

RETRY_SECONDS = 5.0
"""Between two tries to look for a runner, after one that failed."""
LOOK_SECONDS = 2.0
MAX_START_SECONDS = 60.0
MAX_DESCRIBE_SECONDS = 60.0

STARTED_CODES = frozenset({0, files.LOCK_BUSY, files.STARTED_BEFORE})
"""Exit codes of the runner's program with which the attempt runs, or has run."""
UNKNOWN_CODE = -1

NO_PARENTS = ColdStart("not_planned", "this server has no warm parents")

StartListener = Callable[[ColdStart | None], None]
"""Is called for each runner that was started; with None if that was by a warm parent."""


class LocalExecutor(RunDirectoryExecutor):
    """The executor for the machine that the server runs on.

    It checks a runner every ``look_s`` seconds. The process that starts a runner is killed after
    ``max_start_s`` seconds; a runner that it has started by then is supervised as usual. ``warm``
    has the parents that start attempts warm (None: every start is cold).
    """

    def __init__(
        self,
        look_s: float = LOOK_SECONDS,
        max_start_s: float = MAX_START_SECONDS,
        warm: WarmParents | None = None,
        on_start: StartListener | None = None,
    ) -> None:
        self._look_s = look_s
        self._warm = warm
        self._on_start = on_start
        super().__init__(DiskThreads("reading a run directory", MAX_DESCRIBE_SECONDS))
        self._max_start_s = max_start_s

    async def start(self, spec: LaunchSpec) -> None:
        """Write the run directory and start its runner."""
        starting = asyncio.create_task(self._start(spec))
        try:
            code = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The server is stopping: it must not leave a runner half started.
            await asyncio.wait([starting])
            raise
        if code == files.RESOURCES_EXHAUSTED:
            raise ResourcesExhausted(f"the runner cannot write into {spec.run_dir}")
        if code in STARTED_CODES:
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

    async def _start(self, spec: LaunchSpec) -> int:
        """Start the attempt warm if possible, or else cold; return the exit code of the program."""
        if self._warm is None:
            return await self._prepare_and_start_cold(spec, NO_PARENTS)
        found = await self._warm.find(spec)
        if isinstance(found, ColdStart):
            return await self._prepare_and_start_cold(spec, found)
        await asyncio.to_thread(prepare_start, spec, None)
        answer = await self._start_warm(spec.run_dir, self._warm, found)
        if not isinstance(answer, ColdStart):
            return answer
        await asyncio.to_thread(record_start, spec.run_dir, answer)
        return await self._start_cold(spec.run_dir, answer)

    async def _prepare_and_start_cold(self, spec: LaunchSpec, cold: ColdStart) -> int:
        await asyncio.to_thread(prepare_start, spec, cold)
        return await self._start_cold(spec.run_dir, cold)

    async def _start_cold(self, run_dir: Path, cold: ColdStart) -> int:
        self._report(cold)
        return await asyncio.to_thread(start_cold, run_dir, self._max_start_s)

    async def _start_warm(
        self, run_dir: Path, parents: WarmParents, parent: WarmParent
    ) -> int | ColdStart:
        """Return the exit code of the program, or why the attempt must be started cold."""
        answer = await parent.start(run_dir, runner_environment())
        if isinstance(answer, ColdStart):
            parents.on_failed(parent, answer)
            # The runner holds the lock from its fork on. Should it come later, it finds the lock
            # of the cold one, or its record, and ends.
            is_unclear = answer.code == NO_ANSWER
            return UNKNOWN_CODE if is_unclear and await self.was_started(run_dir) else answer
        is_usual = answer in STARTED_CODES or answer == files.RESOURCES_EXHAUSTED
        if not is_usual and not await self.was_started(run_dir):
            return ColdStart("failed", f"the warm start ended with exit code {answer}")
        parents.on_started(parent)
        self._report(None)
        return answer

    def _report(self, cold: ColdStart | None) -> None:
        if self._on_start is not None:
            self._on_start(cold)

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
    return has_trace_of_runner(run_dir)
