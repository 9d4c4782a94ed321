"""The scheduler: the worker task that decides what starts next.

One slot: jobs run one after another, by priority and then in the order of submission; those that
wait for a checkpoint (``wait_for_path_s``) let others go before until it is there. It owns no
evaluation: it may end at any moment, and the next one carries on from what the store and the run
directories say.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import islice

import structlog

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.retry import retry_until_writable
from evalserver.checkpoints.waits import PathWaits
from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.runner.crash_point import crash_point
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
LOOK_SECONDS = 1.0
CHECK_LIMIT_SECONDS = 60.0
"""How long a disk may take to answer for the checkpoints of one job."""
"""Between two looks at a queue of which no job can start: their times to wait may be up."""


class AlreadyFinished(Exception):
    """The job ended before it could be cancelled."""


class NotFinished(Exception):
    """The job cannot be tried again, since it has not ended yet."""


class NotQueued(Exception):
    """The job's priority cannot be changed, since it does not wait."""


class Scheduler:
    """Runs the queue of one store: ``load`` it, then await ``run`` and ``watch_checkpoints`` in
    tasks, which may be started again when they fail; ``close`` it.

    The newest ``keep`` finished jobs are kept.
    """

    def __init__(self, store: Store, attempts: Attempts, keep: int, clock: Clock = utc_now) -> None:
        self._store = store
        self._attempts = attempts
        self._keep = keep
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        threads = DiskThreads("checking a checkpoint", CHECK_LIMIT_SECONDS)
        self._waits = PathWaits(clock, threads, self._wake.set)
        self.holding = False
        """Nothing is started any more: the server is shutting down."""
        self.draining: Draining | None = None
        """Nothing is started any more, until somebody has the queue go on."""
        self.queue = QueueIndex()
        self.running_job: str | None = None

    async def load(self) -> None:
        """Read the queue from the store and follow it from then on; tidy what a crash left."""
        self.draining = await self._store.server.draining()
        self._store.subscribe(self._on_event)
        for job_id, priority, seq in await self._store.queued():
            self.queue.add(job_id, priority, seq)
        try:
            await self._tidy()
        except StoreUnavailable as error:
            log.error("cannot tidy what a crash left; the next start will", error=str(error))

    async def _tidy(self) -> None:
        await self._attempts.remove_files(await self._store.prune(self._keep))
        await self._attempts.remove_leftovers()

    async def run(self) -> None:
        """Work until cancelled: what ran when the server last ended, then the queue."""
        for interrupted in await self._store.running():
            self.running_job = interrupted.job_id
            await self._attempts.resume(interrupted)
        while True:
            claimed = await self._claim(await self._next())
            if claimed is not None:
                await self._attempts.begin(claimed)

    async def watch_checkpoints(self) -> None:
        """Until cancelled, have the checkpoints looked for of those jobs that may come next.

        Behind the first job that waits for none, nobody comes next.
        """
        while True:
            self._news.clear()
            some_wait = False
            async for job in self._queued_jobs():
                if job.request.wait_for_path_s is None:
                    break
                some_wait = True
                self._waits.look(job)
            await asyncio.sleep(POLL_SECONDS)
            await _set_within(self._news, LOOK_SECONDS if some_wait else None)

    async def close(self) -> None:
        """End what is being looked for."""
        await self._waits.close()

    async def drain(self, actor: str, reason: str | None) -> Draining:
        """Start nothing from now on; what runs goes on, and what is submitted waits.

        It holds until ``resume``, also after a restart. Raises StoreUnavailable.
        """
        self.draining = await self._store.server.drain(actor, reason)
        return self.draining

    async def resume(self, actor: str) -> bool:
        """Have the queue go on; False when it had not been draining. Raises StoreUnavailable."""
        was_draining = await self._store.server.resume(actor)
        self.draining = None
        self._wake.set()
        return was_draining

    async def end_running(self) -> None:
        """Have what runs stopped, and wait until it reads so; nothing is started any more."""
        self.holding = True
        job_id = self.running_job
        while job_id is not None and self.running_job == job_id:
            with contextlib.suppress(AlreadyFinished, JobPruned, StoreUnavailable):
                await self.cancel(job_id, actor=SERVER)
            await asyncio.sleep(POLL_SECONDS)

    async def cancel(self, job_id: str, actor: str) -> str:
        """Cancel a job that has not finished; returns what was done, in words.

        A running job is being stopped when this returns; it reads ``cancelled`` once all of its
        processes are gone. Raises AlreadyFinished, JobNotFound, JobPruned, StoreUnavailable.
        """
        while (job := await self._store.job(job_id)).status not in FINISHED:
            # What the job was a moment ago may be over: then look again.
            with contextlib.suppress(IllegalTransition):
                if job.status is Status.QUEUED:
                    pruned = await self._store.cancel_queued(job_id, actor, self._keep)
                    crash_point("cancelled_queued")
                    await self._attempts.remove_files(pruned)
                    return f"Job {job_id} cancelled"
                await self._store.request_cancel(job_id, actor)
                crash_point("cancel_requested")
                # The attempt that runs now: another may have begun since the first look.
                await self._attempts.stop(await self._store.job(job_id))
                return f"Job {job_id} is being cancelled: its evaluation is being stopped"
        raise AlreadyFinished(f"Job {job_id} has already finished; there is nothing to cancel")

    async def retry(self, job_id: str, actor: str) -> None:
        """Queue a finished job for a further attempt.

        Raises NotFinished, JobNotFound, JobPruned, StoreUnavailable.
        """
        try:
            await self._store.retry(job_id, actor)
            crash_point("retried")
        except IllegalTransition:
            job = await self._store.job(job_id)
            raise NotFinished(
                f"Job {job_id} is {job.status}; only a finished job can be tried again"
            ) from None

    async def prioritize(self, job_id: str, priority: int, actor: str) -> None:
        """Give a queued job another priority, and so another place in the queue.

        Raises NotQueued, JobNotFound, JobPruned, StoreUnavailable.
        """
        try:
            await self._store.prioritize(job_id, priority, actor)
        except IllegalTransition:
            job = await self._store.job(job_id)
            raise NotQueued(
                f"Job {job_id} is {job.status}; only the priority of a queued job can be changed"
            ) from None

    def held_back_by(self, job_id: str) -> str | None:
        """The checkpoint that a queued job waits for while others go before it; None if it does
        not."""
        return self._waits.reasons.get(job_id)

    def _on_event(self, event: CommittedEvent) -> None:
        self._news.set()
        if event.after is Status.QUEUED:
            self.queue.add(event.job_id, event.priority, event.seq)
            self._wake.set()
        elif event.before is Status.QUEUED:
            self.queue.remove(event.job_id)
            self._waits.forget(event.job_id)
        if event.after is Status.RUNNING:
            self.running_job = event.job_id
        elif event.before is Status.RUNNING:
            self.running_job = None

    async def _next(self) -> Job:
        while True:
            self._wake.clear()
            stands = self.holding or self.draining is not None
            job = None if stands else await self._first_ready()
            if job is not None:
                return job
            await _set_within(self._wake, LOOK_SECONDS if self.queue else None)

    async def _first_ready(self) -> Job | None:
        """The first job of the queue that waits for no checkpoint any more."""
        async for job in self._queued_jobs():
            if self._waits.may_start(job):
                return job
        return None

    async def _queued_jobs(self) -> AsyncIterator[Job]:
        """The jobs of the queue in their order, as they are by now."""
        position = 0
        while (job_id := next(islice(self.queue, position, None), None)) is not None:
            try:
                yield await retry_until_writable(lambda each=job_id: self._store.job(each))  # type: ignore[misc]
            except JobPruned:
                self.queue.remove(job_id)
                continue
            position += 1

    async def _claim(self, job: Job) -> Job | None:
        """Claim the next attempt of a queued job; None if it is not next any more."""
        job_id = job.job_id
        try:
            paths = await self._attempts.reserve(job)
            await retry_until_writable(
                lambda: self._store.claim(job, paths.run_dir, paths.output_dir)
            )
        except IllegalTransition:
            return None
        crash_point("claimed")
        return await retry_until_writable(lambda: self._store.job(job_id))


async def _set_within(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until the event is set, for so many seconds at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
