"""Removes the leases of jobs that have ended, also what a crash has left of them."""

import asyncio

import structlog

from evalserver.checkpoints.leases.leases import Leases
from evalserver.core.lifecycle import FINISHED
from evalserver.scheduling.timing import wait_until_set
from evalserver.store import CommittedEvent, JobNotFound, JobPruned, Store, StoreUnavailable

log = structlog.get_logger("evalserver.scheduling.lease_sweep")

RECHECK_SECONDS = 30.0
"""Between two sweeps: what could not be removed is tried again, and a submission that
failed may have left a lease."""


class LeaseSweep:
    """Compares the leases with the jobs. Await ``run`` in a task."""

    def __init__(self, store: Store, leases: Leases) -> None:
        self._store = store
        self._leases = leases
        self._wake = asyncio.Event()

    def on_event(self, event: CommittedEvent) -> None:
        """Follow a change of a job."""
        if event.after in FINISHED and self._leases.find(event.job_id) is not None:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled, remove leases that no job needs any more."""
        while True:
            self._wake.clear()
            try:
                for job_id in self._leases.job_ids:
                    await self._sweep(job_id)
            except StoreUnavailable as error:
                log.error("cannot tell which leases are over; trying again", error=str(error))
            await wait_until_set(self._wake, RECHECK_SECONDS)

    async def _sweep(self, job_id: str) -> None:
        # A job that is being submitted has a lease before it is in the store.
        if self._leases.is_held(job_id):
            return
        async with self._leases.hold(job_id):
            if await self._is_over(job_id):
                await self._leases.release(job_id)

    async def _is_over(self, job_id: str) -> bool:
        try:
            return (await self._store.queries.job(job_id)).status in FINISHED
        except (JobNotFound, JobPruned):
            return True
