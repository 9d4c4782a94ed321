"""Pruning on request: removing finished jobs with their records and files."""

from collections.abc import Awaitable, Callable

from evalserver.attempts.attempts import Attempts
from evalserver.store import IllegalTransition, Store

BATCH_SIZE = 200
"""Jobs of one transaction. Other writers wait for one transaction at most."""


class NotPrunable(Exception):
    """The job cannot be pruned, because it has not ended yet."""


class Pruner:
    """Removes finished jobs of a store, and the files of their attempts.

    Output directories that a client named are kept.
    """

    def __init__(self, store: Store, attempts: Attempts) -> None:
        self._store = store
        self._attempts = attempts

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

    async def remove(self, job_id: str, actor: str) -> None:
        """Remove one finished job.

        Raises NotPrunable, JobNotFound, JobPruned, StoreUnavailable.
        """
        try:
            await self._store.jobs.prune_job(job_id, actor)
        except IllegalTransition:
            job = await self._store.queries.job(job_id)
            raise NotPrunable(
                f"Job {job_id} is {job.status}; only a finished job can be pruned, so cancel it"
                " first"
            ) from None
        await self._attempts.remove_files([job_id])

    async def _remove_all(self, prune_some: Callable[[], Awaitable[list[str]]]) -> int:
        """Prune jobs in batches, with their files, until none is left. Returns how many."""
        count = 0
        while pruned := await prune_some():
            await self._attempts.remove_files(pruned)
            count += len(pruned)
        return count
