"""What executors have in common: each knows an attempt by its run directory."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from evalserver.executors.ask import ask
from evalserver.executors.base import AttemptInfo
from evalserver.executors.run_files import read_attempt_info
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.executors")


class RunDirectoryExecutor:
    """The part of an executor that needs the run directory alone, or nothing of an attempt.

    ``threads`` read run directories.
    """

    def __init__(self, threads: DiskThreads) -> None:
        self._threads = threads

    async def reserve(self, run_dir: Path) -> None:
        """Create the run directory. If that fails, ``start`` will raise the reason."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(run_dir.mkdir, parents=True, exist_ok=True)

    async def describe(self, run_dir: Path) -> AttemptInfo:
        """Read what the server and the runner wrote into the run directory.

        If its disk does not answer in time, nothing is known, and that is logged.
        """
        try:
            return await self._threads.run(read_attempt_info, run_dir)
        except DiskTimeout:
            log.error(
                "cannot read what an attempt was started with: its secrets may not be masked",
                run_dir=str(run_dir),
            )
            return AttemptInfo()

    async def ask(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> str:
        """Run a program on the server's own machine, and return what it prints on stdout."""
        return await ask(argv, env, timeout_s)
