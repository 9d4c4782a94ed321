"""One look at the queue of Slurm every few seconds, for all attempts of a cluster together."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from evalserver.executors.slurm.answers import SlurmJob
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.programs import SlurmError
from evalserver.executors.slurm.submission_record import NAME_PREFIX

log = structlog.get_logger("evalserver.executors.slurm")

MAX_PAUSE_SECONDS = 60.0
"""Between two looks while Slurm cannot be reached."""


@dataclass(frozen=True)
class Snapshot:
    """The attempts' jobs of one look by their names. ``number`` counts looks, ``began`` is
    monotonic, ``cluster`` is the name of the cluster that answered."""

    number: int
    began: float
    cluster: str
    jobs: Mapping[str, tuple[SlurmJob, ...]]

    def named(self, name: str) -> tuple[SlurmJob, ...]:
        """Return the jobs of this name: none if Slurm knows of none."""
        return self.jobs.get(name, ())


class SlurmPoller:
    """Looks every ``poll_s`` seconds while somebody watches, and less often while Slurm does not
    answer. What was seen last remains: no answer changes nothing."""

    def __init__(self, commands: SlurmCommands, poll_s: float) -> None:
        self._commands = commands
        self._poll_s = poll_s
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._next = asyncio.Event()
        self._hurry = asyncio.Event()
        self._why: str | None = None
        self._unreachable_since: datetime | None = None
        self.snapshot: Snapshot | None = None

    @property
    def fault(self) -> str | None:
        """Since when and why Slurm cannot be reached; None if it answered last."""
        if self._unreachable_since is None:
            return None
        return (
            f"Slurm has given no answer since {self._unreachable_since:%H:%M:%S} UTC: {self._why}"
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Keep looking during the block."""
        self._watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._poll(), name="slurm poller")
        try:
            yield
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                task, self._task = self._task, None
                task.cancel()
                await asyncio.wait([task])

    async def next(self, limit_s: float) -> None:
        """Wait for the next snapshot, but not longer than ``limit_s`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._next.wait()

    async def fresh(self) -> Snapshot:
        """Return a snapshot that was begun after this call, however long Slurm is unreachable."""
        called = time.monotonic()
        async with self.watching():
            self._hurry.set()
            while self.snapshot is None or self.snapshot.began < called:
                await self._next.wait()
            return self.snapshot

    def report_unreachable(self, why: str) -> None:
        """Remember that Slurm gave no answer."""
        if self._unreachable_since is None:
            log.warning("Slurm cannot be reached; nothing changes until it answers", why=why)
            self._unreachable_since = datetime.now(UTC)
        self._why = why

    def report_answer(self) -> None:
        """Remember that Slurm answered."""
        if self._unreachable_since is not None:
            log.info("Slurm can be reached again")
            self._unreachable_since = None
            self._hurry.set()

    async def _poll(self) -> None:
        pause = self._poll_s
        while True:
            began = time.monotonic()
            self._hurry.clear()
            try:
                cluster = await self._commands.cluster()
                jobs = await self._commands.jobs(NAME_PREFIX)
            except SlurmError as error:
                self.report_unreachable(str(error))
                pause = max(self._poll_s, min(2 * pause, MAX_PAUSE_SECONDS))
            except Exception as error:
                log.exception("a look at the queue of Slurm failed")
                self.report_unreachable(repr(error))
                pause = MAX_PAUSE_SECONDS
            else:
                self.report_answer()
                self._hurry.clear()
                self._publish(jobs, cluster, began)
                pause = self._poll_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._hurry.wait()

    def _publish(self, jobs: Iterable[SlurmJob], cluster: str, began: float) -> None:
        by_name: dict[str, list[SlurmJob]] = defaultdict(list)
        for job in jobs:
            by_name[job.name].append(job)
        number = 1 if self.snapshot is None else self.snapshot.number + 1
        named = {name: tuple(each) for name, each in by_name.items()}
        self.snapshot = Snapshot(number, began, cluster, named)
        self._next.set()
        self._next = asyncio.Event()
