"""Operations that change jobs, each in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalserver.core.job import Job, NewJob, Outcome, Slot
from evalserver.core.lifecycle import SERVER
from evalserver.store import attempts, idempotency, jobs, pruning, server_events, stalls
from evalserver.store.idempotency import Answered, Key
from evalserver.store.queued_series import NOTHING, Queued, require_freed
from evalserver.store.readers import Readers
from evalserver.store.submission import Submission, submit_batch
from evalserver.store.transaction import Transaction
from evalserver.store.writer import Writer

NO_SLOT = Slot()


@dataclass(frozen=True)
class CancelledJobs:
    """The ids of jobs that were cancelled, and of those that were pruned thereby."""

    cancelled: list[str]
    pruned: list[str]


class JobStore:
    """Changes jobs. Every method returns once its change is durable.

    Methods raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def submit(self, job: NewJob, must_free: Queued = NOTHING) -> None:
        """Put a new job into the queue.

        Raises SeriesFull, and QueueFull if it supersedes less than ``must_free``.
        """
        await self._writer.run(Submission(job, self._now, must_free))

    async def submit_once(
        self, job: NewJob, key: Key, answer: Callable[[int], str], must_free: Queued = NOTHING
    ) -> Answered:
        """Put a new job into the queue if its key is unused; otherwise return the original answer.

        ``answer`` makes the answer from the job's position in the queue; job, key and answer are
        one unit of work. Raises KeyReused when the key was used for something else, and as
        ``submit`` does.
        """
        return await self._writer.run(
            lambda tx: idempotency.submit_once(tx, job, key, self._now(), answer, must_free)
        )

    async def submit_batch(self, jobs: Sequence[NewJob], must_free: Queued = NOTHING) -> None:
        """Put new jobs into the queue, in their order: all of them or none.

        Raises SeriesFull, and QueueFull if together they supersede less than ``must_free``.
        """
        await self._writer.run(
            lambda tx: require_freed(submit_batch(tx, jobs, self._now()), must_free)
        )

    async def submit_batch_once(
        self, jobs: Sequence[NewJob], key: Key, answer: str, must_free: Queued = NOTHING
    ) -> Answered:
        """Put new jobs into the queue if their key is unused, as ``submit_once`` does."""
        return await self._writer.run(
            lambda tx: idempotency.submit_batch_once(tx, jobs, key, self._now(), answer, must_free)
        )

    async def was_answered(self, key: Key) -> bool:
        """Whether a submission with this key was accepted."""
        return await idempotency.was_answered(self._readers, key)

    async def prioritize(self, job_id: str, priority: int, actor: str) -> None:
        """Give a queued job another priority. Raises IllegalTransition if it is not queued."""
        await self._writer.run(lambda tx: jobs.prioritize(tx, job_id, priority, self._now(), actor))

    async def claim(
        self,
        job: Job,
        run_dir: Path,
        output_dir: Path,
        slot: Slot = NO_SLOT,
        after_event: int = 0,
    ) -> None:
        """Start the attempt after those in ``job``, a record of a queued job, in a slot.

        ``after_event`` is the newest event that the decision for this job knew. Raises
        IllegalTransition if the job is not queued, if one that was queued since is ahead of it,
        if it has made further attempts since it was read, if a GPU of the slot is held, or while
        the server is draining.
        """
        claim = attempts.Claim(
            job.job_id, self._now(), str(run_dir), str(output_dir), slot, after_event
        )

        def work(tx: Transaction) -> None:
            server_events.require_open_queue(tx)
            attempts.claim(tx, claim, job.attempt + 1)

        await self._writer.run(work)

    async def hand_over(
        self, job: Job, run_dir: Path, output_dir: Path, after_event: int = 0
    ) -> None:
        """Begin the attempt after those in ``job``, a record of a queued job, on its cluster.

        Raises IllegalTransition as ``claim`` does.
        """
        claim = attempts.Claim(
            job.job_id, self._now(), str(run_dir), str(output_dir), after_event=after_event
        )

        def work(tx: Transaction) -> None:
            server_events.require_open_queue(tx)
            attempts.hand_over(tx, claim, job.attempt + 1)

        await self._writer.run(work)

    async def start(self, job_id: str, started_at: str) -> None:
        """Record that a job which was handed over runs, since a time.

        Raises IllegalTransition if it is not waiting on a cluster.
        """
        await self._writer.run(lambda tx: attempts.start(tx, job_id, self._now(), started_at))

    async def reattach(self, job_id: str) -> None:
        """Record that a restarted server reattached to a running job's attempt."""
        await self._writer.run(lambda tx: attempts.reattach(tx, job_id, self._now()))

    async def cancel_queued(
        self, job_id: str, actor: str, keep: int, max_bytes: int | None = None
    ) -> list[str]:
        """End a job of which no attempt has begun, and prune as ``finish`` does.

        Raises IllegalTransition if it is no longer queued, or was handed over to a cluster.
        """

        def work(tx: Transaction) -> list[str]:
            now = self._now()
            jobs.cancel_queued(tx, job_id, now, actor)
            return pruning.prune_to(tx, keep, max_bytes, now)

        return await self._writer.run(work)

    async def cancel_queued_among(
        self, job_ids: Sequence[str], actor: str, keep: int, max_bytes: int | None = None
    ) -> CancelledJobs:
        """End those of the jobs of which no attempt has begun, and prune as ``finish`` does."""

        def work(tx: Transaction) -> CancelledJobs:
            now = self._now()
            cancelled = jobs.cancel_queued_among(tx, job_ids, now, actor)
            return CancelledJobs(cancelled, pruning.prune_to(tx, keep, max_bytes, now))

        return await self._writer.run(work)

    async def request_cancel(self, job_id: str, actor: str) -> None:
        """Record that a job's attempt is to be stopped. Raises IllegalTransition if none has begun,
        or it has ended."""
        await self._writer.run(lambda tx: jobs.request_cancel(tx, job_id, self._now(), actor))

    async def stall(self, job_id: str, since: str, *, fails: bool = False) -> None:
        """Record that a running job has been inactive since a time, and whether it fails for that.

        Raises IllegalTransition if it has ended.
        """
        await self._writer.run(lambda tx: stalls.stall(tx, job_id, self._now(), since, fails=fails))

    async def end_stall(self, job_id: str) -> None:
        """Record that a stalled job is active again. Raises IllegalTransition if it has ended."""
        await self._writer.run(lambda tx: stalls.end_stall(tx, job_id, self._now()))

    async def interrupt(self, job_id: str, reason: str, started_at: str | None = None) -> None:
        """Put a job whose attempt was lost back into the queue.

        ``started_at`` is when the attempt started, if no start was recorded.
        """
        await self._writer.run(
            lambda tx: jobs.interrupt(tx, job_id, self._now(), reason, started_at)
        )

    async def postpone(self, job_id: str, reason: str) -> None:
        """Put a running job whose harness was not started back into the queue; the attempt does
        not count. Raises IllegalTransition if it is not running, or is to be cancelled."""
        await self._writer.run(lambda tx: jobs.postpone(tx, job_id, self._now(), reason))

    async def finish(
        self, job_id: str, outcome: Outcome, keep: int, max_bytes: int | None = None
    ) -> list[str]:
        """Record how a job's attempt ended, and prune, in one unit of work.

        Returns the ids of the jobs that were pruned, to keep the newest ``keep``
        finished ones, whose files have ``max_bytes`` at most.
        """

        def work(tx: Transaction) -> list[str]:
            now = self._now()
            jobs.finish(tx, job_id, now, outcome)
            return pruning.prune_to(tx, keep, max_bytes, now)

        return await self._writer.run(work)

    async def retry(self, job_id: str, actor: str) -> None:
        """Queue a finished job for a further attempt. Raises IllegalTransition if it is not."""
        await self._writer.run(lambda tx: jobs.retry(tx, job_id, self._now(), actor))

    async def erase(self, job_id: str, actor: str) -> bool:
        """Remove a job with everything that is kept of it; returns whether it was pruned before.

        Raises IllegalTransition if it is not finished, was erased before, or never existed.
        """
        return await self._writer.run(lambda tx: pruning.erase_one(tx, job_id, self._now(), actor))

    async def prune_to_fit(self, max_bytes: int) -> list[str]:
        """Remove the oldest finished jobs until the files of the rest have ``max_bytes`` at most;
        returns their ids."""
        return await self._writer.run(lambda tx: pruning.prune_to_fit(tx, max_bytes, self._now()))

    async def prune(self, keep: int, actor: str = SERVER, most: int = pruning.ALL) -> list[str]:
        """Remove the oldest finished jobs beyond the newest ``keep``, or ``most`` of these; returns
        their ids."""
        return await self._writer.run(lambda tx: pruning.prune(tx, keep, self._now(), actor, most))

    async def prune_older(self, before: str, actor: str, most: int) -> list[str]:
        """Remove ``most`` of the jobs that finished before a time; returns their ids."""
        return await self._writer.run(
            lambda tx: pruning.prune_older(tx, before, self._now(), actor, most)
        )

    async def prune_job(self, job_id: str, actor: str) -> None:
        """Remove one finished job. Raises IllegalTransition if it is not finished or does not
        exist."""
        await self._writer.run(lambda tx: pruning.prune_one(tx, job_id, self._now(), actor))
