"""The scheduler: decides which job starts next.

Jobs run one after another, by priority and then in the order of submission. A job that waits for a
checkpoint (``wait_for_path_s``) lets others go first until the checkpoint is complete. A scheduler
may end at any time: the next one continues from the store and the run directories.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import structlog

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.retry import retry_until_writable
from evalserver.checkpoints.waits import CheckpointWaits
from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Job
from evalserver.core.lifecycle import Status
from evalserver.runner.crash_point import crash_point
from evalserver.scheduling.commands import AlreadyFinished, JobCommands
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.store import (
    CommittedEvent,
    Draining,
    IllegalTransition,
    JobPruned,
    Store,
    StoreUnavailable,
)
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.scheduling.scheduler")

SERVER = "server"
"""The actor of what the server does by itself."""

POLL_SECONDS = 0.1
CHECK_LIMIT_SECONDS = 60.0
"""How long a disk may take to answer for the checkpoints of one job."""
RECHECK_SECONDS = 1.0
"""Between two searches of a queue in which no job can start: a waiting time may have ended."""


class Scheduler:
    """Runs the queue of one store. Call ``load`` first, then await ``run`` and
    ``watch_checkpoints`` in tasks, which may be restarted when they fail; in the end ``close``.
    """

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        commands: JobCommands,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._commands = commands
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        threads = DiskThreads("checking a checkpoint", CHECK_LIMIT_SECONDS)
        self._waits = CheckpointWaits(clock, threads, self._wake.set)
        self._waiting: dict[str, Job] = {}
        """Queued jobs that were submitted to wait for a checkpoint, as far as they were read."""
        self._running: dict[str, None] = {}
        self.holding = False
        """True while the server shuts down: nothing is started any more."""
        self.draining: Draining | None = None
        """Set while an administrator has paused the queue: nothing is started."""
        self.queue = QueueIndex()

    @property
    def running(self) -> tuple[str, ...]:
        """The running jobs, in the order in which they started."""
        return tuple(self._running)

    async def load(self) -> None:
        """Read the queue from the store, and follow it."""
        self.draining = await self._store.server.draining()
        self._store.subscribe(self._on_event)
        for job_id, priority, seq in await self._store.queries.queued():
            self.queue.add(job_id, priority, seq)
        running = await self._store.queries.running()
        self._running = dict.fromkeys(job.job_id for job in running)

    async def run(self) -> None:
        """Until cancelled, run jobs: first those that ran when the server last ended."""
        for interrupted in await self._store.queries.running():
            await self._attempts.resume(interrupted)
        while True:
            claimed = await self._claim(await self._next())
            if claimed is not None:
                await self._attempts.begin(claimed)

    async def watch_checkpoints(self) -> None:
        """Until cancelled, look for the checkpoints of the jobs that may be next.

        Jobs behind the first one that waits for no checkpoint cannot be next.
        """
        while True:
            self._changed.clear()
            has_waiting = False
            async for job in self._queued_jobs():
                if job.request.wait_for_path_s is None:
                    break
                has_waiting = True
                self._waits.check(job)
            await asyncio.sleep(POLL_SECONDS)
            await _wait_until_set(self._changed, RECHECK_SECONDS if has_waiting else None)

    async def close(self) -> None:
        """Cancel the search for checkpoints."""
        await self._waits.close()

    async def drain(self, actor: str, reason: str | None) -> Draining:
        """Start nothing from now on; running jobs continue, and submitted ones are queued.

        It lasts until ``resume``, also after a restart. Raises StoreUnavailable.
        """
        self.draining = await self._store.server.drain(actor, reason)
        return self.draining

    async def resume(self, actor: str) -> bool:
        """Start jobs again. Returns False if it was not draining. Raises StoreUnavailable."""
        was_draining = await self._store.server.resume(actor)
        self.draining = None
        self._wake.set()
        return was_draining

    async def end_running(self) -> None:
        """Start nothing from now on, cancel the running jobs, and wait until they have ended."""
        self.holding = True
        while self._running:
            for job_id in self.running:
                with contextlib.suppress(AlreadyFinished, JobPruned, StoreUnavailable):
                    await self._commands.cancel(job_id, actor=SERVER)
            await asyncio.sleep(POLL_SECONDS)

    def checkpoint_wait(self, job_id: str) -> str | None:
        """Return which checkpoint a queued job waits for while others go first, or None."""
        return self._waits.reasons.get(job_id)

    def _on_event(self, event: CommittedEvent) -> None:
        self._changed.set()
        self._waiting.pop(event.job_id, None)
        if event.after is Status.QUEUED:
            self.queue.add(event.job_id, event.priority, event.seq)
            self._wake.set()
        elif event.before is Status.QUEUED:
            self.queue.remove(event.job_id)
            self._waits.forget(event.job_id)
        if event.after is Status.RUNNING:
            self._running.setdefault(event.job_id)
        elif event.before is Status.RUNNING:
            self._running.pop(event.job_id, None)

    async def _next(self) -> Job:
        while True:
            self._wake.clear()
            is_paused = self.holding or self.draining is not None
            job = None if is_paused else await self._first_ready()
            if job is not None:
                return job
            await _wait_until_set(self._wake, RECHECK_SECONDS if self.queue else None)

    async def _first_ready(self) -> Job | None:
        """Return the first job of the queue that need not wait for a checkpoint."""
        async for job in self._queued_jobs():
            if self._waits.may_start(job):
                return job
        return None

    async def _queued_jobs(self) -> AsyncIterator[Job]:
        """Yield the queued jobs in order. One that waits for a checkpoint is read only once."""
        for job_id in self.queue:
            job = self._waiting.get(job_id)
            if job is None:
                try:
                    job = await retry_until_writable(partial(self._store.queries.job, job_id))
                except JobPruned:
                    self.queue.remove(job_id)
                    continue
                # It may have left the queue while it was read.
                if job.request.wait_for_path_s is not None and job_id in self.queue:
                    self._waiting[job_id] = job
            yield job

    async def _claim(self, job: Job) -> Job | None:
        """Claim the next attempt of a queued job. Returns None if it is not next any more."""
        job_id = job.job_id
        try:
            paths = await self._attempts.reserve(job)
            await retry_until_writable(
                lambda: self._store.jobs.claim(job, paths.run_dir, paths.output_dir)
            )
        except IllegalTransition:
            self._waiting.pop(job_id, None)
            return None
        crash_point("claimed")
        return await retry_until_writable(lambda: self._store.queries.job(job_id))


async def _wait_until_set(event: asyncio.Event, limit_s: float | None) -> None:
    """Wait until the event is set, or for ``limit_s`` seconds (None: no limit)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
