"""The job that starts before the first one of a lane, which lacks GPUs, without delaying it."""

from collections.abc import Callable
from functools import partial

from evalserver.attempts.retry import retry_until_writable
from evalserver.core.clock import Clock
from evalserver.core.lifecycle import EventKind, Status
from evalserver.scheduling.medians import Medians
from evalserver.scheduling.order import Head, Start, backfill
from evalserver.scheduling.placement import GpuAvailability
from evalserver.scheduling.slots import Inventory
from evalserver.store import CommittedEvent


class Backfill:
    """Finds such jobs. ``end_s`` is as of ``order.ends_by``."""

    def __init__(self, medians: Medians, gpus: GpuAvailability, clock: Clock, end_s: float) -> None:
        self._medians = medians
        self._gpus = gpus
        self._clock = clock
        self._end_s = end_s
        self._slow: set[str] = set()
        """Queued jobs that could not be prepared in time, and so wait for their turn."""

    def on_event(self, event: CommittedEvent) -> None:
        """Follow a change of a job."""
        if event.kind is EventKind.POSTPONED:
            self._slow.add(event.job_id)
        elif event.before is Status.QUEUED and event.after is not Status.QUEUED:
            self._slow.discard(event.job_id)

    async def find(self, head: Head, inventory: Callable[[], Inventory]) -> Start | None:
        """Return the job behind the first one that starts now; None if there is none."""
        placed = head.candidates(inventory())
        candidates = [job for job in placed if job.job_id not in self._slow]
        if not candidates:
            return None
        await self._gpus.look()
        expected = await retry_until_writable(
            partial(self._medians.of_jobs, [job.job_id for job in candidates])
        )
        now = self._clock().timestamp()
        return backfill(head.job, candidates, inventory(), now, self._end_s, expected)
