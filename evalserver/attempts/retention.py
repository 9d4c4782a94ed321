"""How long finished jobs are kept: the one place that removes jobs and the files of their attempts.

Output directories that a client named are never removed.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from evalserver.attempts.run_directories import RunDirectories
from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED
from evalserver.store import IllegalTransition, Store, StoreUnavailable
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.attempts.retention")

MEASURE_LIMIT_SECONDS = 60.0

BATCH_SIZE = 200
"""Jobs of one transaction. Other writers wait for one transaction at most."""


class NotPrunable(Exception):
    """The job cannot be pruned, because it has not ended yet."""


class Retention:
    """Keeps the newest ``max_finished`` finished jobs, as far as their files have ``max_bytes`` at
    most, and removes others on request. The numbers of removed jobs stay until they are erased."""

    def __init__(
        self,
        store: Store,
        directories: RunDirectories,
        max_finished: int,
        max_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._directories = directories
        self.max_finished = max_finished
        self.max_bytes = max_bytes
        self._threads = DiskThreads("measuring the files of a job", MEASURE_LIMIT_SECONDS)

    async def clean_up(self) -> None:
        """Remove jobs beyond the limit, and files of pruned jobs that were left by a crash."""
        try:
            await self._clean_up()
        except StoreUnavailable as error:
            log.error("cannot remove what a crash left; the next start will", error=str(error))

    async def keep_newest(self, keep: int, actor: str) -> int:
        """Remove the oldest finished jobs beyond the newest ``keep``; returns how many.

        Raises StoreUnavailable; jobs that were removed before that stay removed.
        """
        return await self._remove_all(lambda: self._store.jobs.prune(keep, actor, BATCH_SIZE))

    async def remove_older(self, before: str, actor: str) -> int:
        """Remove the jobs that finished before a time; returns how many.

        Raises StoreUnavailable; jobs that were removed before that stay removed.
        """
        return await self._remove_all(
            lambda: self._store.jobs.prune_older(before, actor, BATCH_SIZE)
        )

    async def count(self, keep: int | None, before: str | None) -> int:
        """Return how many jobs ``keep_newest`` or ``remove_older`` would remove now."""
        if before is not None:
            return await self._store.queries.count_finished_before(before)
        counts = await self._store.queries.count_by_status()
        return max(0, sum(counts[status] for status in FINISHED) - (keep or 0))

    async def remove(self, job_id: str, actor: str) -> None:
        """Remove one finished job.

        Raises NotPrunable, JobNotFound, JobPruned, StoreUnavailable.
        """
        await self._remove_one(job_id, self._store.jobs.prune_job(job_id, actor), "pruned")

    async def erase(self, job_id: str, actor: str) -> None:
        """Remove one finished job with its files and its numbers, also if it was pruned before.

        Raises NotPrunable, JobNotFound, StoreUnavailable, and JobPruned if it was erased before.
        """
        await self._remove_one(job_id, self._store.jobs.erase(job_id, actor), "erased")

    async def remove_pruned(self, job_ids: list[str]) -> None:
        """Delete the files of jobs that were pruned to stay within the limits."""
        if not job_ids:
            return
        budget = {} if self.max_bytes is None else {"max_output_bytes": self.max_bytes}
        log.info(
            "pruned the oldest finished jobs; their numbers are kept",
            jobs=len(job_ids),
            oldest=job_ids[0],
            max_completed_jobs=self.max_finished,
            **budget,
        )
        await self.remove_files(job_ids)

    async def measure(self, job: Job) -> int | None:
        """Return how many bytes the files of a job take; None if the disk does not answer."""
        try:
            return await self._threads.run(self._directories.size, job)
        except DiskTimeout as error:
            log.error("cannot measure the files of a job", job=job.job_id, error=str(error))
            return None

    async def remove_files(self, job_ids: list[str]) -> None:
        """Delete the files of pruned jobs."""
        if job_ids:
            await asyncio.to_thread(self._directories.remove, job_ids)

    async def _remove_one(self, job_id: str, removal: Awaitable[object], done: str) -> None:
        try:
            await removal
        except IllegalTransition:
            job = await self._store.queries.job(job_id)
            raise NotPrunable(
                f"Job {job_id} is {job.status}; only a finished job can be {done}, so cancel it"
                " first"
            ) from None
        await self.remove_files([job_id])

    async def prune_to_limits(self) -> None:
        """Remove the oldest finished jobs beyond the limits. Raises StoreUnavailable."""
        await self.remove_pruned(await self._store.jobs.prune(self.max_finished))
        if self.max_bytes is not None:
            await self.remove_pruned(await self._store.jobs.prune_to_fit(self.max_bytes))

    async def _clean_up(self) -> None:
        await self.prune_to_limits()
        # A directory is removed only if the audit log knows its job as pruned.
        found = await asyncio.to_thread(self._directories.job_ids)
        leftovers = await self._store.queries.pruned_among(found)
        if leftovers:
            log.info("removing the files of jobs that were pruned", jobs=len(leftovers))
        await self.remove_files(leftovers)

    async def _remove_all(self, prune_some: Callable[[], Awaitable[list[str]]]) -> int:
        """Prune jobs in batches, with their files, until none is left. Returns how many."""
        count = 0
        while pruned := await prune_some():
            await self.remove_files(pruned)
            count += len(pruned)
        return count
