"""Looking for the checkpoints of the queued jobs that may be next and wait for them."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import islice

from evalserver.attempts.retry import retry_until_writable
from evalserver.checkpoints.waits import CheckpointWaits
from evalserver.core.clock import Clock
from evalserver.core.job import Job, QueuedJob
from evalserver.core.lifecycle import Status
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.timing import wait_until_set
from evalserver.store import CommittedEvent, JobPruned, Store
from evalserver.system.disk_threads import DiskThreads

POLL_SECONDS = 0.1
CHECK_LIMIT_SECONDS = 60.0
"""How long a disk may take to answer for the checkpoints of one job."""
MAX_WATCHED = 1000
"""Jobs at the beginning of a lane, without those that are skipped, whose checkpoints are looked
for."""
RECHECK_SECONDS = 1.0
"""Between two looks while jobs wait: a waiting time may have ended."""


class CheckpointWatch:
    """Says which jobs with ``wait_for_path_s`` may start. Await ``run`` in a task; in the end
    ``close``. ``on_ready`` is called when a job may be able to start."""

    def __init__(
        self, store: Store, queue: QueueIndex, clock: Clock, on_ready: Callable[[], None]
    ) -> None:
        self._store = store
        self._queue = queue
        self._changed = asyncio.Event()
        threads = DiskThreads("checking a checkpoint", CHECK_LIMIT_SECONDS)
        self._waits = CheckpointWaits(clock, threads, on_ready)
        self._jobs: dict[str, Job] = {}
        """Queued jobs that were submitted to wait for a checkpoint, as far as they were read."""

    async def run(self, is_skipped: Callable[[QueuedJob], bool]) -> None:
        """Until cancelled, look for the checkpoints of the jobs that may be next.

        Jobs that are skipped are not looked at, nor those behind the first other one of their lane
        that waits for no checkpoint.
        """
        while True:
            self._changed.clear()
            for lane in self._queue.lanes:
                for queued in islice(self._queue.in_lane(lane, is_skipped), MAX_WATCHED):
                    if not queued.demand.waits_for_checkpoint:
                        break
                    await self._check(queued.job_id)
            await asyncio.sleep(POLL_SECONDS)
            has_waiting = any(map(self._queue.has_waiting, self._queue.lanes))
            await wait_until_set(self._changed, RECHECK_SECONDS if has_waiting else None)

    async def close(self) -> None:
        """Cancel all checks."""
        await self._waits.close()

    def on_event(self, event: CommittedEvent) -> None:
        """Follow a change of a job."""
        self._changed.set()
        self._jobs.pop(event.job_id, None)
        if event.before is Status.QUEUED and event.after is not Status.QUEUED:
            self._waits.forget(event.job_id)

    def reason(self, job_id: str) -> str | None:
        """Return which checkpoint a queued job waits for while others go first, or None."""
        return self._waits.reasons.get(job_id)

    def may_start(self, queued: QueuedJob) -> bool:
        """Return whether the job's checkpoint is complete, or it waits for none."""
        if not queued.demand.waits_for_checkpoint:
            return True
        job = self._jobs.get(queued.job_id)
        return job is not None and self._waits.may_start(job)

    async def _check(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is None:
            try:
                job = await retry_until_writable(partial(self._store.queries.job, job_id))
            except JobPruned:
                return
            if job_id not in self._queue:
                return  # it left the queue while it was read
            self._jobs[job_id] = job
        self._waits.check(job)
