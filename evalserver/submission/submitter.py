"""The submitter turns a validated request into a job.

It applies defaults, the engine's capabilities, known names, checkpoints, quotas and idempotency,
and writes the job. Every way to submit a job translates to and from it.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import structlog

from evalserver.attempts.provenance import at_submission
from evalserver.checkpoints.merging import Merge, pin_checkpoint, with_merged_checkpoint
from evalserver.core.job import LOCAL, NewJob
from evalserver.core.job_id import new_job_id
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, merge
from evalserver.engines.env_profiles import EnvProfile, require_profile
from evalserver.executors.settings import ExecutorSettings, require_executor
from evalserver.harnesses.catalog import Catalog
from evalserver.runner.crash_point import crash_point
from evalserver.store import Key, Store, request_bytes
from evalserver.submission.capabilities import apply_defaults, capability_faults
from evalserver.submission.gpu_faults import gpu_faults
from evalserver.submission.keys_in_flight import KeysInFlight
from evalserver.submission.known_names import find_unknown_names
from evalserver.submission.merges import find_shards
from evalserver.submission.named_checkpoints import inspect_checkpoints
from evalserver.submission.queue_limits import QueueLimits
from evalserver.submission.rejection import Rejected, invalid
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.submission")


@dataclass(frozen=True)
class SubmissionPolicy:
    """The operator's settings: default engine, default time limit in seconds, the directories in
    which clients may name files, and the sets of variables and the executors that they may name."""

    default_engine: str
    default_timeout_s: float | None
    allowed: AllowedDirectories
    profiles: Mapping[str, EnvProfile] = field(default_factory=dict)
    managed_gpus: int = 0
    """The number of GPUs that the server manages; 0: an evaluation sees all."""
    executors: Mapping[str, ExecutorSettings] = field(
        default_factory=lambda: {LOCAL: ExecutorSettings(LOCAL)}
    )
    default_executor: str = LOCAL


@dataclass(frozen=True)
class Accepted:
    """A job that is on disk. With a key, ``answer`` is the response stored with the key, and
    ``replayed`` says whether it is that of an earlier submission."""

    job_id: str
    answer: str | None = None
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
    ) -> None:
        self._store = store
        self._engines = engines
        self._catalog = catalog
        self._limits = limits
        self._threads = threads
        self._policy = policy
        self.keys_in_flight = KeysInFlight()

    def executor_of(self, engine: str | None, requested: str | None = None) -> str:
        """Return the name of the executor of a request: its own, its engine's, or the default."""
        settings = self._engines[engine or self._policy.default_engine].settings
        return requested or settings.executor or self._policy.default_executor

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
        name = request.engine or self._policy.default_engine
        engine = self._engines[name]
        request = apply_defaults(engine.normalized(request), engine, self._policy.default_timeout_s)
        executor = self.executor_of(name, request.executor)
        request = request.changed(executor=executor)
        if request.lmms_engine_kwargs is not None:
            request = await self._threads.run(pin_checkpoint, request)
        provenance = await self._check_all(request, engine, validate=validate)
        if isinstance(provenance, Rejected):
            if key is None or not await self._store.jobs.was_answered(key):
                return provenance
            provenance = None
        return NewJob(new_job_id(), name, request, submitted_by, provenance, executor)

    async def check_merge(self, wanted: Merge, submitted_by: str) -> NewJob | Rejected:
        """Return the job that merges a checkpoint, without writing it."""
        found = await self._threads.run(find_shards, wanted)
        if isinstance(found, Rejected):
            return found
        engine = self._engines[merge.NAME]
        request = apply_defaults(
            merge.request_to_merge(found), engine, self._policy.default_timeout_s
        )
        executor = self.executor_of(merge.NAME)
        request = request.changed(executor=executor)
        provenance = await self._threads.run(at_submission, request, self._policy.allowed)
        return NewJob(new_job_id(), merge.NAME, request, submitted_by, provenance, executor)

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
        return await self._enqueue_once(job, key, lambda position: answer(job.job_id, position))

    async def enqueue(self, job: NewJob) -> Accepted | Rejected:
        """Queue a checked job. Raises StoreUnavailable."""
        with self._limits.reserve(job.submitted_by, request_bytes(job.request)) as rejected:
            if rejected is not None:
                return rejected
            await self._store.jobs.submit(job)
        _log_submission(job)
        return Accepted(job.job_id)

    async def _enqueue_once(
        self, job: NewJob, key: Key, answer: Callable[[int], str]
    ) -> Accepted | Rejected:
        with ExitStack() as stack:
            for reservation in (
                self.keys_in_flight.hold(key),
                self._limits.reserve(job.submitted_by, request_bytes(job.request)),
            ):
                rejected = stack.enter_context(reservation)
                if rejected is not None:
                    return rejected
            answered = await self._store.jobs.submit_once(job, key, answer)
        if not answered.again:
            _log_submission(job)
        return Accepted(job.job_id, answered.answer, answered.again)

    async def _check_all(
        self, request: EvaluateRequest, engine: Engine, *, validate: bool
    ) -> dict[str, Any] | Rejected | None:
        """Return the provenance of the request's checkpoints, or all faults."""
        # A cluster has GPUs of its own.
        managed_gpus = self._policy.managed_gpus if request.executor == LOCAL else 0
        unknown = {
            "env_profile": require_profile(request.env_profile, self._policy.profiles),
            "executor": require_executor(request.executor or "", self._policy.executors),
        }
        faults = {
            **capability_faults(with_merged_checkpoint(request), engine),
            **gpu_faults(request, managed_gpus),
            **{name: fault for name, fault in unknown.items() if fault is not None},
        }
        if faults:
            return invalid(faults)
        checkpoints = await inspect_checkpoints(request, self._policy.allowed, self._threads)
        if validate:
            unlisted = await find_unknown_names(self._catalog, request, engine)
            if unlisted or checkpoints.faults:
                return invalid({**unlisted, **checkpoints.faults})
        return checkpoints.provenance


def _log_submission(job: NewJob) -> None:
    crash_point("submitted")
    request = job.request
    log.info("job submitted", job=job.job_id, model=request.model, tasks=",".join(request.tasks))
