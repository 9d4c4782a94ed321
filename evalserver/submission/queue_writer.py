"""Writing checked jobs into the queue: with their leases, within the quotas, once for each key."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from evalserver.checkpoints.leases.leases import Leases
from evalserver.core.in_steps import in_steps
from evalserver.core.job import NewJob
from evalserver.core.request import SUPERSEDE
from evalserver.runner.crash_point import crash_point
from evalserver.store import (
    Answered,
    Key,
    Queued,
    QueueFull,
    SeriesFull,
    Store,
    request_bytes,
)
from evalserver.submission.keys_in_flight import KeysInFlight
from evalserver.submission.lease_taking import LeaseTaking
from evalserver.submission.queue_limits import NO_ROOM, QueueLimits, Room
from evalserver.submission.rejection import Rejected, series_full
from evalserver.submission.submission_log import SubmissionLog

log = structlog.get_logger("evalserver.submission")

T = TypeVar("T")

Write = Callable[[Queued], Awaitable[T]]
"""Writes jobs that must supersede at least so much."""


@dataclass(frozen=True)
class Accepted:
    """A job that is on disk. With a key, ``answer`` is the response stored with the key, and
    ``replayed`` says whether it is that of an earlier submission."""

    job_id: str
    answer: str | None = None
    replayed: bool = False


@dataclass(frozen=True)
class AcceptedBatch:
    """Jobs that are on disk, all of them; ``answer`` is the response, ``replayed`` as above."""

    answer: str
    replayed: bool = False


class QueueWriter:
    """Writes checked jobs into the queue of one store.

    Its methods raise StoreUnavailable, and those with a key KeyReused when it was used for
    something else.
    """

    def __init__(self, store: Store, limits: QueueLimits, leases: Leases) -> None:
        self._store = store
        self._limits = limits
        self._taking = LeaseTaking(leases)
        self._log = SubmissionLog()
        self.keys_in_flight = KeysInFlight()

    async def was_answered(self, key: Key | None) -> bool:
        """Whether a submission with this key was accepted, and only gets its answer again."""
        return key is not None and await self._store.jobs.was_answered(key)

    async def write(self, job: NewJob) -> Accepted | Rejected:
        """Queue a job."""
        async with self._taking.of([job]) as taken:
            return taken.refusal or taken.judged(await self._write(job))

    async def write_once(
        self, job: NewJob, key: Key, answer: Callable[[int], str]
    ) -> Accepted | Rejected:
        """Queue a job, unless a submission with its key was accepted before.

        ``answer`` makes the response that is stored with the key, from the job's position in the
        queue.
        """
        # A repeated submission makes no job, so its checkpoint may be gone.
        is_repeated = job.request.lease is not None and await self.was_answered(key)
        async with self._taking.of([] if is_repeated else [job]) as taken:
            return taken.refusal or taken.judged(await self._write_once(job, key, answer))

    async def write_batch(
        self, jobs: Sequence[NewJob], answer: str, key: Key | None
    ) -> AcceptedBatch | Rejected:
        """Queue the jobs of a batch: all of them or none.

        ``answer`` is the response, which is stored with a key.
        """
        async with self._taking.of(jobs) as taken:
            return taken.refusal or taken.judged(await self._write_batch(jobs, answer, key))

    async def _write(self, job: NewJob) -> Accepted | Rejected:
        async def write(must_free: Queued) -> Accepted:
            await self._store.jobs.submit(job, must_free)
            return Accepted(job.job_id)

        written = await self._with_room([job], [request_bytes(job.request)], None, write)
        if isinstance(written, Accepted):
            self._on_submitted(job)
        return written

    async def _write_once(
        self, job: NewJob, key: Key, answer: Callable[[int], str]
    ) -> Accepted | Rejected:
        async def write(must_free: Queued) -> Answered:
            return await self._store.jobs.submit_once(job, key, answer, must_free)

        answered = await self._with_room([job], [request_bytes(job.request)], key, write)
        if isinstance(answered, Rejected):
            return answered
        if not answered.again:
            self._on_submitted(job)
        return Accepted(job.job_id, answered.answer, answered.again)

    async def _write_batch(
        self, jobs: Sequence[NewJob], answer: str, key: Key | None
    ) -> AcceptedBatch | Rejected:
        async def write(must_free: Queued) -> Answered:
            if key is not None:
                return await self._store.jobs.submit_batch_once(jobs, key, answer, must_free)
            await self._store.jobs.submit_batch(jobs, must_free)
            return Answered(answer, again=False)

        sizes = [request_bytes(job.request) async for job in in_steps(jobs)]
        answered = await self._with_room(jobs, sizes, key, write)
        if isinstance(answered, Rejected):
            return answered
        crash_point("submitted")
        if not answered.again:
            log.info("batch submitted", batch=jobs[0].batch_id, jobs=len(jobs))
        return AcceptedBatch(answered.answer, answered.again)

    async def _with_room(
        self, jobs: Sequence[NewJob], sizes: Sequence[int], key: Key | None, write: Write[T]
    ) -> T | Rejected:
        """Write jobs if there is room for them, or if they free it."""
        async with self._reserve(jobs, sizes, key) as room:
            if isinstance(room, Rejected):
                return room
            try:
                return await write(room.must_free)
            except SeriesFull as full:
                return series_full(full)
            except QueueFull:
                if room.full is None:
                    raise
                return room.full

    @asynccontextmanager
    async def _reserve(
        self, jobs: Sequence[NewJob], sizes: Sequence[int], key: Key | None
    ) -> AsyncIterator[Room | Rejected]:
        """Reserve room in the queue for jobs, and their key, while they are written."""
        submitter = jobs[0].submitted_by
        supersedes = any(job.request.on_newer == SUPERSEDE for job in jobs)
        with ExitStack() as stack:
            in_flight = stack.enter_context(self.keys_in_flight.hold(key)) if key else None
            if in_flight is not None:
                yield in_flight
                return
            reserve = self._limits.reserve(submitter, *sizes, supersedes=supersedes)
            room = stack.enter_context(reserve)
            is_replay = isinstance(room, Rejected) and await self.was_answered(key)
            yield NO_ROOM if is_replay else room

    def _on_submitted(self, job: NewJob) -> None:
        crash_point("submitted")
        self._log.add(job)
