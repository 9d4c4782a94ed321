"""Commands for jobs: cancel one or those of a batch, retry one, or change its priority."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.retention import Retention
from evalserver.checkpoints.leases.leases import Leases
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.runner.crash_point import crash_point
from evalserver.store import IllegalTransition, JobNotFound, JobPruned, Store, StoreUnavailable

log = structlog.get_logger("evalserver.scheduling.commands")

MAX_CANCELLED_TOGETHER = 50
"""Jobs that are cancelled in one unit of work: bounds how long others wait."""


class AlreadyFinished(Exception):
    """The job ended before it could be cancelled."""


class NotFinished(Exception):
    """The job cannot be retried, because it has not ended yet."""


class NotQueued(Exception):
    """The job's priority cannot be changed, because it is not queued."""


@dataclass(frozen=True)
class CancelledBatch:
    """How many jobs of a batch were cancelled, are being stopped, and had finished before."""

    cancelled: int
    stopping: int
    finished: int


class JobCommands:
    """Changes jobs on request."""

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        retention: Retention,
        leases: Leases | None = None,
    ) -> None:
        self._leases = leases
        self._store = store
        self._attempts = attempts
        self._retention = retention

    async def cancel(self, job_id: str, actor: str) -> str:
        """Cancel a job that has not finished, and return a sentence on what was done.

        A running job is being stopped when this returns; it is ``cancelled`` once all of its
        processes have ended. Raises AlreadyFinished, JobNotFound, JobPruned, StoreUnavailable.
        """
        while (job := await self._store.queries.job(job_id)).status not in FINISHED:
            # If the status has changed since it was read, read it again.
            with contextlib.suppress(IllegalTransition):
                if job.status is Status.QUEUED and job.handed_over_at is None:
                    pruned = await self._store.jobs.cancel_queued(
                        job_id, actor, self._retention.max_finished, self._retention.max_bytes
                    )
                    crash_point("cancelled_queued")
                    await self._retention.remove_pruned(pruned)
                    return f"Job {job_id} cancelled"
                await self._store.jobs.request_cancel(job_id, actor)
                crash_point("cancel_requested")
                # Read again: another attempt may have begun since.
                await self._attempts.stop(await self._store.queries.job(job_id))
                if job.status is Status.QUEUED:
                    return f"Job {job_id} is being cancelled: {job.executor} is told to remove it"
                return f"Job {job_id} is being cancelled: its evaluation is being stopped"
        raise AlreadyFinished(f"Job {job_id} has already finished; there is nothing to cancel")

    async def end_superseded(self) -> None:
        """Do what is left after a submission has superseded jobs: those that wait on a cluster are
        cancelled there, and finished jobs beyond the limits are removed.

        What cannot be done now is done by the next start.
        """
        try:
            for job in await self._store.queries.to_cancel_on_clusters():
                await self._attempts.stop(job)
            await self._retention.prune_to_limits()
        except StoreUnavailable as error:
            log.error("cannot end what was superseded yet; the next start will", error=str(error))

    async def cancel_batch(self, batch_id: str, actor: str) -> CancelledBatch:
        """Cancel the jobs of a batch that have not finished, each as ``cancel`` does.

        Raises BatchNotFound, StoreUnavailable.
        """
        count = sum((await self._store.batches.batch(batch_id)).counts.values())
        job_ids = await self._store.batches.unfinished(batch_id)
        cancelled = await self._cancel_queued_among(job_ids, actor)
        rest = [job_id for job_id in job_ids if job_id not in cancelled]
        stopping = 0
        for job_id in rest:
            with contextlib.suppress(AlreadyFinished, JobNotFound, JobPruned):
                await self.cancel(job_id, actor)
                stopping += 1
        return CancelledBatch(len(cancelled), stopping, count - len(cancelled) - stopping)

    async def _cancel_queued_among(self, job_ids: Sequence[str], actor: str) -> set[str]:
        """Cancel those of the jobs of which no attempt has begun; returns their ids."""
        cancelled: set[str] = set()
        for first in range(0, len(job_ids), MAX_CANCELLED_TOGETHER):
            done = await self._store.jobs.cancel_queued_among(
                job_ids[first : first + MAX_CANCELLED_TOGETHER],
                actor,
                self._retention.max_finished,
                self._retention.max_bytes,
            )
            crash_point("cancelled_queued")
            await self._retention.remove_pruned(done.pruned)
            cancelled.update(done.cancelled)
        return cancelled

    async def retry(self, job_id: str, actor: str) -> None:
        """Queue a finished job for a further attempt.

        A job with a lease gets a new one. Raises NotFinished, JobNotFound, JobPruned,
        StoreUnavailable, and LeaseRefused if its checkpoint is gone.
        """
        if self._leases is None:
            await self._retry(job_id, actor)
            return
        async with self._leases.hold(job_id):
            job = await self._store.queries.job(job_id)
            # The sweep removes it again if the job is not queued in the end.
            if job.status in FINISHED and job.pruned_at is None:
                await self._leases.take(job)
            await self._retry(job_id, actor)

    async def _retry(self, job_id: str, actor: str) -> None:
        try:
            await self._store.jobs.retry(job_id, actor)
            crash_point("retried")
        except IllegalTransition:
            job = await self._store.queries.job(job_id)
            raise NotFinished(
                f"Job {job_id} is {job.status}; only a finished job can be tried again"
            ) from None

    async def prioritize(self, job_id: str, priority: int, actor: str) -> None:
        """Give a queued job another priority, and so another position in the queue.

        Raises NotQueued, JobNotFound, JobPruned, StoreUnavailable.
        """
        try:
            await self._store.jobs.prioritize(job_id, priority, actor)
            job = await self._store.queries.job(job_id)
            await self._attempts.change_waiting(
                job, lambda cluster, run_dir: cluster.prioritize(run_dir, priority)
            )
        except IllegalTransition:
            job = await self._store.queries.job(job_id)
            raise NotQueued(
                f"Job {job_id} is {job.status}; only the priority of a queued job can be changed"
            ) from None
