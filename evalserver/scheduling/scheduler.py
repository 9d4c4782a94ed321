"""The scheduler: starts queued jobs as slots become free.

``slots`` and ``order`` decide which job is next; this module knows the state that they need, writes
the claim, and runs the attempts. A scheduler may end at any time: the next one continues from the
store and the run directories.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from evalserver.attempts.attempts import Attempts
from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Job, QueuedJob
from evalserver.core.lifecycle import SERVER, EventKind, Status
from evalserver.executors.base import Cluster
from evalserver.runner.crash_point import crash_point
from evalserver.scheduling.backfill import Backfill
from evalserver.scheduling.beginning import begin_attempt
from evalserver.scheduling.checkpoint_watch import CheckpointWatch
from evalserver.scheduling.commands import AlreadyFinished, JobCommands
from evalserver.scheduling.hand_over import HandOver
from evalserver.scheduling.medians import Medians
from evalserver.scheduling.order import Head, Start, choose, is_skipped, with_overtaken
from evalserver.scheduling.placement import DEFAULT_PLACEMENT, GpuAvailability, Placement
from evalserver.scheduling.queue_index import QueueIndex, QueueLane
from evalserver.scheduling.running_jobs import RunningJobs
from evalserver.scheduling.slots import Inventory, Lane
from evalserver.scheduling.timing import wait_until_set
from evalserver.store import CommittedEvent, Draining, JobPruned, Store, StoreUnavailable

POLL_SECONDS = 0.1
RECHECK_SECONDS = 1.0
"""Between two searches of a queue in which no job can start: a waiting time may have ended."""


class Scheduler:
    """Runs the queue of one store. Call ``load`` first, then await ``run`` and
    ``watch_checkpoints`` in tasks, which may be restarted when they fail; in the end ``close``.
    """

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        commands: JobCommands,
        clock: Clock = utc_now,
        placement: Placement = DEFAULT_PLACEMENT,
        clusters: Mapping[str, Cluster] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._commands = commands
        self._clock = clock
        self.placement = placement
        self.medians = Medians(store)
        self._wake = asyncio.Event()
        limits = placement.limits
        self.queue = QueueIndex(self._lane_of)
        self._checkpoints = CheckpointWatch(store, self.queue, clock, self._wake_all)
        end_s = placement.grace_s + attempts.max_end_s
        self._running = RunningJobs(limits, end_s, placement.gpu_ids)
        self._gpus = GpuAvailability(store, placement)
        self._backfill = Backfill(self.medians, self._gpus, clock, end_s)
        self._newest_event = self._decided_at = 0
        self._is_claiming = False
        self.holding = False
        """True while the server shuts down: nothing is started any more."""
        self.draining: Draining | None = None
        """Set while an administrator has paused the queue: nothing is started."""
        self.hand_overs = {
            name: HandOver(name, cluster, store, attempts, self.queue, self)
            for name, cluster in clusters.items()
        }
        """To each cluster, by its name. Await ``run`` of each in a task, too."""

    @property
    def running(self) -> tuple[str, ...]:
        """The running jobs: those of this machine in the order in which they started, then those of
        each cluster."""
        there = (job_id for each in self.hand_overs.values() for job_id in each.running)
        return (*self._running.ids, *there)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to start now."""
        return self.holding or self.is_draining

    @property
    def is_draining(self) -> bool:
        """Whether an administrator has paused the queue."""
        return self.draining is not None

    @property
    def inventory(self) -> Inventory:
        """The limits, the running jobs, and the GPUs that could not be used at the last look."""
        return self._running.inventory(self._gpus.unavailable, self._gpus.quarantined)

    async def load(self) -> None:
        """Read the queue from the store, and follow it."""
        self.draining = await self._store.server.draining()
        self._store.subscribe(self._on_event)
        self._attempts.subscribe(self._on_start)
        self._newest_event = max(self._newest_event, await self._store.events.newest_id())
        for queued in await self._store.queries.queued():
            self.queue.add(queued)
        for job in await self._store.queries.handed_over():
            self.queue.hand_over(job.job_id)
            self.hand_overs[job.executor].load(job)
        for job in await self._store.queries.running():
            if job.executor in self.hand_overs:
                self.hand_overs[job.executor].load(job)
            else:
                self._running.load(job, await self._store.queries.start_by(job.job_id))

    def on_gpus_changed(self) -> None:
        """Look again whether a job can start: which GPUs can be used may have changed."""
        self._gpus.on_change()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled, run jobs: first those that ran when the server last ended."""
        try:
            async with asyncio.TaskGroup() as attempts:
                for interrupted in await self._store.queries.running():
                    if interrupted.executor not in self.hand_overs:
                        attempts.create_task(self._attempts.resume(interrupted))
                while True:
                    claimed = await self._claim(await self._next())
                    if claimed is not None:
                        attempts.create_task(self._attempts.begin(claimed))
        except ExceptionGroup as errors:
            # One cause says more to the person who reads it than a group.
            raise errors.exceptions[0] from errors

    async def watch_checkpoints(self) -> None:
        """Until cancelled, look for the checkpoints of the jobs that may be next."""
        await self._checkpoints.run(
            lambda job: job.executor not in self.hand_overs and is_skipped(job, self.inventory)
        )

    async def close(self) -> None:
        """Cancel the search for checkpoints."""
        await self._checkpoints.close()

    async def drain(self, actor: str, reason: str | None) -> Draining:
        """Start nothing from now on; running jobs continue, and submitted ones are queued.

        It lasts until ``resume``, also after a restart. Raises StoreUnavailable.
        """
        self.draining = await self._store.server.drain(actor, reason)
        self._wake_all()
        return self.draining

    async def resume(self, actor: str) -> bool:
        """Start jobs again. Returns False if it was not draining. Raises StoreUnavailable."""
        was_draining = await self._store.server.resume(actor)
        self.draining = None
        self._wake_all()
        return was_draining

    async def end_running(self) -> None:
        """Start nothing from now on, cancel the jobs that run on this machine, and wait until they
        have ended."""
        self.holding = True
        while self._running.ids or self._is_claiming:
            for job_id in self._running.ids:
                with contextlib.suppress(AlreadyFinished, JobPruned, StoreUnavailable):
                    await self._commands.cancel(job_id, actor=SERVER)
            await asyncio.sleep(POLL_SECONDS)

    def may_start(self, job: QueuedJob) -> bool:
        """Return whether a queued job's checkpoint is complete, or it waits for none."""
        return self._checkpoints.may_start(job)

    def checkpoint_wait(self, job_id: str) -> str | None:
        """Return which checkpoint a queued job waits for while others go first, or None."""
        return self._checkpoints.reason(job_id)

    def _on_event(self, event: CommittedEvent) -> None:
        self._newest_event = event.event_id
        if event.in_place_of is not None:
            self.queue.exchange_places(event.job_id, event.in_place_of)
        queued = event.queued
        if queued is not None:
            self.queue.add(queued)
        elif event.after is Status.QUEUED:
            self.queue.hand_over(event.job_id)
        else:
            self.queue.remove(event.job_id)
        for hand_over in self.hand_overs.values():
            hand_over.on_event(event)
        self._running.on_event(event)
        if event.kind is EventKind.REATTACHED:
            self._running.on_start(event.job_id, self._clock().timestamp())
        self._checkpoints.on_event(event)
        self._backfill.on_event(event)
        if event.after is not Status.RUNNING:
            self._wake.set()

    def _lane_of(self, job: QueuedJob) -> QueueLane:
        if job.executor in self.hand_overs:
            return job.executor
        return self.placement.limits.lane_of(job.demand.num_gpus)

    def _wake_all(self) -> None:
        self._wake.set()
        for hand_over in self.hand_overs.values():
            hand_over.wake()

    def _on_start(self, job: Job, _: str) -> None:
        self._running.on_start(job.job_id, self._clock().timestamp())
        self._wake.set()

    async def _next(self) -> Start:
        while True:
            self._wake.clear()
            start = None if self.is_paused else await self.find_next()
            if start is not None and not self.holding:
                return start
            await wait_until_set(self._wake, RECHECK_SECONDS if self.queue else None)

    async def find_next(self) -> Start | None:
        """Return the job that can start now, and where; None if there is none."""
        for lane in self.placement.limits.lanes:
            start = await self._find_in_lane(lane)
            if start is not None:
                return start
        return None

    async def _find_in_lane(self, lane: Lane) -> Start | None:
        if self.queue.is_empty(lane):
            return None
        # What cannot start even if all GPUs can be used needs no look at them.
        found = self._choose(lane, self._running.inventory({}))
        if lane is Lane.WITH_GPU and (isinstance(found, Start) or self._gpus.needs_look):
            await self._gpus.look()
            found = self._choose(lane, self.inventory)
        start = await self._fill_gap(found) if isinstance(found, Head) else found
        return None if start is None else with_overtaken(start, self.queue, self.inventory)

    async def _fill_gap(self, head: Head) -> Start | None:
        if not self.placement.backfill:
            return None
        return await self._backfill.find(head, lambda: self.inventory)

    def _choose(self, lane: Lane, inventory: Inventory) -> Start | Head | None:
        self._decided_at = self._newest_event
        if inventory.is_full(lane):
            return None
        jobs = self.queue.in_lane(lane, lambda job: is_skipped(job, inventory))
        return choose(jobs, inventory, self._checkpoints.may_start)

    async def _claim(self, start: Start) -> Job | None:
        """Claim the next attempt of a queued job. Returns None if it is not next any more."""
        self._is_claiming = True
        try:
            return await self._claim_next(start)
        finally:
            self._is_claiming = False

    async def _claim_next(self, start: Start) -> Job | None:
        decided_at = self._decided_at

        async def write(job: Job, run_dir: Path, output_dir: Path) -> None:
            await self._store.jobs.claim(job, run_dir, output_dir, start.slot, decided_at)
            crash_point("claimed")

        job_id = start.job.job_id
        return await begin_attempt(self._store, self._attempts, self.queue, job_id, write)
