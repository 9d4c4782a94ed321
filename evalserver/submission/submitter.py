"""The submitter turns a validated request into a job.

It applies defaults, and checks the engine's capabilities, known names and checkpoints;
``QueueWriter`` writes the job. Every way to submit a job translates to and from it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from evalserver.attempts.provenance import at_submission
from evalserver.checkpoints.leases.leases import Leases
from evalserver.checkpoints.merging import Merge
from evalserver.core.job import NewJob
from evalserver.core.job_id import new_job_id
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, merge
from evalserver.harnesses.catalog import Catalog
from evalserver.store import Key, Store
from evalserver.submission.batch_checks import check_batch, prepare_batch
from evalserver.submission.capabilities import with_defaults
from evalserver.submission.merges import find_shards
from evalserver.submission.queue_limits import QueueLimits
from evalserver.submission.queue_writer import Accepted, QueueWriter
from evalserver.submission.rejection import Rejected, invalid
from evalserver.submission.request_checks import Prepared, RequestChecks, SubmissionPolicy
from evalserver.system.disk_threads import DiskThreads


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
        self._engines = engines
        self._threads = threads
        self._policy = policy
        self._checks = RequestChecks(engines, catalog, threads, policy)
        self.executor_of = self._checks.executor_of
        self.queue = QueueWriter(store, limits, leases)

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
            if not await self.queue.was_answered(key):
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
            if not await self.queue.was_answered(key):
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
            return await self.queue.write(job)
        return await self.queue.write_once(job, key, partial(answer, job.job_id))

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
