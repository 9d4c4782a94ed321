"""The submitter turns a validated request into a job.

It applies defaults, the engine's capabilities, known names, checkpoints, quotas and idempotency,
and writes the job. Every way to submit a job translates to and from it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from evalserver.attempts.provenance import at_submission
from evalserver.checkpoints.leases.leases import Leases
from evalserver.checkpoints.merging import Merge
from evalserver.core.in_steps import in_steps
from evalserver.core.job import NewJob
from evalserver.core.job_id import new_job_id
from evalserver.core.request import SUPERSEDE, EvaluateRequest
from evalserver.engines import Engine, merge
from evalserver.harnesses.catalog import Catalog
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
from evalserver.submission.batch_checks import check_batch, prepare_batch
from evalserver.submission.capabilities import with_defaults
from evalserver.submission.keys_in_flight import KeysInFlight
from evalserver.submission.lease_taking import LeaseTaking
from evalserver.submission.merges import find_shards
from evalserver.submission.queue_limits import NO_ROOM, QueueLimits, Room
from evalserver.submission.rejection import Rejected, invalid, series_full
from evalserver.submission.request_checks import Prepared, RequestChecks, SubmissionPolicy
from evalserver.submission.submission_log import SubmissionLog
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.submission")


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


class Submitter:
    """Turns requests into jobs of one store."""

    def __init__(
        self,
        store: Store,
        engines: Mapping[str, Engine],
        catalog: Catalog,
        limits: QueueLimits,
        threads: DiskThreads,
        policy: SubmissionPolicy,
        leases: Leases,
    ) -> None:
        self._store = store
        self._engines = engines
        self._limits = limits
        self._threads = threads
        self._policy = policy
        self._checks = RequestChecks(engines, catalog, threads, policy)
        self.executor_of = self._checks.executor_of
        self._taking = LeaseTaking(leases)
        self._log = SubmissionLog()
        self.keys_in_flight = KeysInFlight()

    async def check(
        self,
        request: EvaluateRequest,
        submitted_by: str,
        *,
        validate: bool = True,
        key: Key | None = None,
    ) -> NewJob | Rejected:
        """Return the job that the request would become, without writing it.

        Without ``validate``, unknown names and missing checkpoints are accepted. So is everything
        with a ``key`` that was accepted before: it gets the same response again, even if its
        checkpoint is gone.

        Raises StoreUnavailable.
        """
        prepared = await self._checks.prepare(request)
        provenance = await self._check_one(prepared, validate=validate)
        if isinstance(provenance, Rejected):
            if not await self._was_answered(key):
                return provenance
            provenance = None
        return _new_job(prepared, submitted_by, provenance)

    async def check_batch(
        self,
        requests: Sequence[EvaluateRequest],
        submitted_by: str,
        *,
        validate: bool = True,
        key: Key | None = None,
    ) -> list[NewJob] | Rejected:
        """Return the jobs that the requests of a batch would become, as ``check`` does.

        A rejection has the faults of all requests, each with the number of its request:
        ``jobs.17.limit``.
        """
        prepared = await prepare_batch(self._checks, requests)
        found = await check_batch(self._checks, prepared, validate=validate)
        if isinstance(found, Rejected):
            if not await self._was_answered(key):
                return found
            found = [None] * len(prepared)
        batch_id = new_job_id()
        return [
            _new_job(each, submitted_by, provenance, batch_id)
            for each, provenance in zip(prepared, found, strict=True)
        ]

    async def check_merge(self, wanted: Merge, submitted_by: str) -> NewJob | Rejected:
        """Return the job that merges a checkpoint, without writing it."""
        found = await self._threads.run(find_shards, wanted)
        if isinstance(found, Rejected):
            return found
        engine = self._engines[merge.NAME]
        executor = self.executor_of(merge.NAME)
        request = with_defaults(
            merge.request_to_merge(found),
            engine,
            self._policy.default_timeout_s,
            executor=executor,
        )
        provenance = await self._threads.run(at_submission, request, self._policy.allowed)
        return _new_job(Prepared(request, engine, executor), submitted_by, provenance)

    async def submit(
        self,
        request: EvaluateRequest,
        submitted_by: str,
        answer: Callable[[str, int], str],
        *,
        validate: bool = True,
        key: Key | None = None,
    ) -> Accepted | Rejected:
        """Check a request and queue its job.

        ``answer`` makes the response that is stored with a key, from the job's id and its position
        in the queue. Raises KeyReused when the key was used for another request, and
        StoreUnavailable.
        """
        job = await self.check(request, submitted_by, validate=validate, key=key)
        if isinstance(job, Rejected):
            return job
        if key is None:
            return await self.enqueue(job)
        # A repeated submission makes no job, so its checkpoint may be gone.
        is_repeated = job.request.lease is not None and await self._was_answered(key)
        async with self._taking.of([] if is_repeated else [job]) as taken:
            return taken.refusal or taken.judged(
                await self._enqueue_once(job, key, lambda position: answer(job.job_id, position))
            )

    async def enqueue(self, job: NewJob) -> Accepted | Rejected:
        """Queue a checked job. Raises StoreUnavailable."""
        async with self._taking.of([job]) as taken:
            return taken.refusal or taken.judged(await self._enqueue(job))

    async def _enqueue(self, job: NewJob) -> Accepted | Rejected:
        async with self._reserve([job], [request_bytes(job.request)]) as room:
            if isinstance(room, Rejected):
                return room
            try:
                await self._store.jobs.submit(job, room.must_free)
            except (QueueFull, SeriesFull) as full:
                return _rejection(full, room)
        self._on_submitted(job)
        return Accepted(job.job_id)

    async def enqueue_batch(
        self, jobs: Sequence[NewJob], answer: str, key: Key | None = None
    ) -> AcceptedBatch | Rejected:
        """Queue the checked jobs of a batch: all of them or none.

        ``answer`` is the response, which is stored with a key. Raises KeyReused when the key was
        used for something else, and StoreUnavailable.
        """
        async with self._taking.of(jobs) as taken:
            return taken.refusal or taken.judged(await self._enqueue_batch(jobs, answer, key))

    async def _enqueue_batch(
        self, jobs: Sequence[NewJob], answer: str, key: Key | None
    ) -> AcceptedBatch | Rejected:
        sizes = [request_bytes(job.request) async for job in in_steps(jobs)]
        async with self._reserve(jobs, sizes, key) as room:
            if isinstance(room, Rejected):
                return room
            try:
                answered = await self._write_batch(jobs, answer, key, room.must_free)
            except (QueueFull, SeriesFull) as full:
                return _rejection(full, room)
        crash_point("submitted")
        if not answered.again:
            log.info("batch submitted", batch=jobs[0].batch_id, jobs=len(jobs))
        return AcceptedBatch(answered.answer, answered.again)

    async def _write_batch(
        self, jobs: Sequence[NewJob], answer: str, key: Key | None, must_free: Queued
    ) -> Answered:
        if key is not None:
            return await self._store.jobs.submit_batch_once(jobs, key, answer, must_free)
        await self._store.jobs.submit_batch(jobs, must_free)
        return Answered(answer, again=False)

    async def _enqueue_once(
        self, job: NewJob, key: Key, answer: Callable[[int], str]
    ) -> Accepted | Rejected:
        async with self._reserve([job], [request_bytes(job.request)], key) as room:
            if isinstance(room, Rejected):
                return room
            try:
                answered = await self._store.jobs.submit_once(job, key, answer, room.must_free)
            except (QueueFull, SeriesFull) as full:
                return _rejection(full, room)
        if not answered.again:
            self._on_submitted(job)
        return Accepted(job.job_id, answered.answer, answered.again)

    async def _was_answered(self, key: Key | None) -> bool:
        """Whether a submission with this key was accepted, and only gets its answer again."""
        return key is not None and await self._store.jobs.was_answered(key)

    @asynccontextmanager
    async def _reserve(
        self, jobs: Sequence[NewJob], sizes: Sequence[int], key: Key | None = None
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
            is_replay = isinstance(room, Rejected) and await self._was_answered(key)
            yield NO_ROOM if is_replay else room

    def _on_submitted(self, job: NewJob) -> None:
        crash_point("submitted")
        self._log.add(job)

    async def _check_one(
        self, prepared: Prepared, *, validate: bool
    ) -> dict[str, Any] | Rejected | None:
        """Return the provenance of the request's checkpoints, or all faults."""
        faults = self._checks.find_faults(prepared)
        if faults:
            return invalid(faults)
        checkpoints = await self._checks.inspect_checkpoints(prepared)
        if validate:
            unlisted = await self._checks.find_unknown_names({"": prepared})
            if unlisted or checkpoints.faults:
                return invalid({**unlisted, **checkpoints.faults})
        return checkpoints.provenance


def _rejection(full: QueueFull | SeriesFull, room: Room) -> Rejected:
    if isinstance(full, SeriesFull):
        return series_full(full)
    if room.full is None:
        raise full
    return room.full


def _new_job(
    prepared: Prepared,
    submitted_by: str,
    provenance: dict[str, Any] | None,
    batch_id: str | None = None,
) -> NewJob:
    request, engine, series = prepared.request, prepared.engine.name, prepared.series
    return NewJob(
        new_job_id(),
        engine,
        request,
        submitted_by,
        provenance,
        prepared.executor,
        batch_id,
        None if series is None else series.max_waiting,
        series is not None and series.newest_first and request.step is not None,
    )
