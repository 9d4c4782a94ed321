"""The scheduler: starts queued jobs as slots become free.

``slots`` and ``order`` decide which job is next; this module knows the state that they need, writes
the claim, and runs the attempts. A scheduler may end at any time: the next one continues from the
store and the run directories.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice

import structlog

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.retry import retry_until_writable
from evalserver.checkpoints.waits import CheckpointWaits
from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Demand, Job, QueuedJob
from evalserver.core.lifecycle import EventKind, Status
from evalserver.runner.crash_point import crash_point
from evalserver.scheduling.commands import AlreadyFinished, JobCommands
from evalserver.scheduling.medians import Medians
from evalserver.scheduling.order import WHY_SKIPPED, Head, Start, backfill, choose, ends_by
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Inventory, Lane, Limits, RunningJob, place
from evalserver.store import (
    CommittedEvent,
    Draining,
    IllegalTransition,
    JobPruned,
    Store,
    StoreUnavailable,
)
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.scheduling.scheduler")

SERVER = "server"
"""The actor of what the server does by itself."""

POLL_SECONDS = 0.1
CHECK_LIMIT_SECONDS = 60.0
"""How long a disk may take to answer for the checkpoints of one job."""
MAX_WATCHED = 1000
"""Jobs at the beginning of a lane whose checkpoints are looked for."""
RECHECK_SECONDS = 1.0
"""Between two searches of a queue in which no job can start: a waiting time may have ended."""


@dataclass(frozen=True)
class Placement:
    """How the scheduler places jobs: the limits, whether later jobs may fill gaps, the names of
    GPUs, and which cannot be used now. ``grace_s`` is the grace after a time limit."""

    limits: Limits = field(default_factory=Limits)
    backfill: bool = False
    grace_s: float = 0.0
    gpu_ids: Mapping[str, str] = field(default_factory=dict)
    """The id of each managed GPU by every name that an older record may have for it."""
    unavailable: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    """Says which managed GPUs cannot be used now, and why; None: all can be used."""

    def gpu_name(self, gpu: str) -> str:
        """Return the index of a GPU if it is known, else its id."""
        return min(
            (name for name, found in self.gpu_ids.items() if found == gpu), key=len, default=gpu
        )


DEFAULT_PLACEMENT = Placement()


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
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._commands = commands
        self._clock = clock
        self.placement = placement
        self.medians = Medians(store)
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        threads = DiskThreads("checking a checkpoint", CHECK_LIMIT_SECONDS)
        self._waits = CheckpointWaits(clock, threads, self._wake.set)
        self._waiting: dict[str, Job] = {}
        """Queued jobs that were submitted to wait for a checkpoint, as far as they were read."""
        self._running: dict[str, RunningJob] = {}
        self._unavailable: Mapping[str, str] = {}
        self._newest_event = self._decided_at = 0
        self.holding = False
        """True while the server shuts down: nothing is started any more."""
        self.draining: Draining | None = None
        """Set while an administrator has paused the queue: nothing is started."""
        limits = placement.limits
        self.queue = QueueIndex(lambda job: limits.lane_of(job.demand.num_gpus))

    @property
    def running(self) -> tuple[str, ...]:
        """The running jobs, in the order in which they started."""
        return tuple(self._running)

    @property
    def inventory(self) -> Inventory:
        """The limits, the running jobs, and the GPUs that could not be used at the last look."""
        return Inventory(self.placement.limits, tuple(self._running.values()), self._unavailable)

    async def load(self) -> None:
        """Read the queue from the store, and follow it."""
        self.draining = await self._store.server.draining()
        self._store.subscribe(self._on_event)
        self._newest_event = max(self._newest_event, await self._store.events.newest_id())
        for queued in await self._store.queries.queued():
            self.queue.add(queued)
        for job in await self._store.queries.running():
            demand = Demand(job.request.num_gpus, job.request.timeout_s)
            self._add_running(job.job_id, job.submitted_by, demand, job.gpus, job.started_at)

    def wake(self) -> None:
        """Look again whether a job can start: something that it depends on has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled, run jobs: first those that ran when the server last ended."""
        try:
            async with asyncio.TaskGroup() as attempts:
                for interrupted in await self._store.queries.running():
                    attempts.create_task(self._attempts.resume(interrupted))
                while True:
                    claimed = await self._claim(await self._next())
                    if claimed is not None:
                        attempts.create_task(self._attempts.begin(claimed))
        except ExceptionGroup as errors:
            # One cause says more to the person who reads it than a group.
            raise errors.exceptions[0] from errors

    async def watch_checkpoints(self) -> None:
        """Until cancelled, look for the checkpoints of the jobs that may be next.

        Jobs behind the first one of their lane that waits for no checkpoint are not looked at,
        unless it is skipped.
        """
        while True:
            self._changed.clear()
            has_waiting = False
            for lane in self.placement.limits.lanes:
                for queued in islice(self.queue.in_lane(lane), MAX_WATCHED):
                    if not queued.demand.waits_for_checkpoint:
                        if place(queued, self.inventory) in WHY_SKIPPED:
                            continue
                        break
                    has_waiting = True
                    job = await self._read_waiting(queued.job_id)
                    if job is not None:
                        self._waits.check(job)
            await asyncio.sleep(POLL_SECONDS)
            await _wait_until_set(self._changed, RECHECK_SECONDS if has_waiting else None)

    async def close(self) -> None:
        """Cancel the search for checkpoints."""
        await self._waits.close()

    async def drain(self, actor: str, reason: str | None) -> Draining:
        """Start nothing from now on; running jobs continue, and submitted ones are queued.

        It lasts until ``resume``, also after a restart. Raises StoreUnavailable.
        """
        self.draining = await self._store.server.drain(actor, reason)
        return self.draining

    async def resume(self, actor: str) -> bool:
        """Start jobs again. Returns False if it was not draining. Raises StoreUnavailable."""
        was_draining = await self._store.server.resume(actor)
        self.draining = None
        self._wake.set()
        return was_draining

    async def end_running(self) -> None:
        """Start nothing from now on, cancel the running jobs, and wait until they have ended."""
        self.holding = True
        while self._running:
            for job_id in self.running:
                with contextlib.suppress(AlreadyFinished, JobPruned, StoreUnavailable):
                    await self._commands.cancel(job_id, actor=SERVER)
            await asyncio.sleep(POLL_SECONDS)

    def checkpoint_wait(self, job_id: str) -> str | None:
        """Return which checkpoint a queued job waits for while others go first, or None."""
        return self._waits.reasons.get(job_id)

    def _on_event(self, event: CommittedEvent) -> None:
        self._newest_event = event.event_id
        self._changed.set()
        self._waiting.pop(event.job_id, None)
        if event.after is Status.QUEUED:
            self.queue.add(
                QueuedJob(event.job_id, event.priority, event.seq, event.submitted_by, event.demand)
            )
            self._wake.set()
        elif event.before is Status.QUEUED:
            self.queue.remove(event.job_id)
            self._waits.forget(event.job_id)
        if event.kind is EventKind.CLAIMED:
            self._add_running(
                event.job_id, event.submitted_by, event.demand, event.gpus, event.started_at
            )
        elif event.before is Status.RUNNING and event.after is not Status.RUNNING:
            self._running.pop(event.job_id, None)
            self._wake.set()

    def _add_running(
        self,
        job_id: str,
        submitted_by: str,
        demand: Demand,
        gpus: Sequence[str] | None,
        started_at: str | None,
    ) -> None:
        began = datetime.fromisoformat(started_at) if started_at else self._clock()
        self._running[job_id] = RunningJob(
            job_id,
            submitted_by,
            demand.num_gpus,
            self._managed(gpus),
            began.timestamp(),
            ends_by(began.timestamp(), demand.timeout_s, self.placement.grace_s),
        )

    def _managed(self, gpus: Sequence[str] | None) -> tuple[str, ...] | None:
        """Return the GPUs of a record by their ids now.

        None (it may use any) if the record names one in a way that says nothing about which of the
        managed ones it is: an index where they have UUIDs, or the reverse.
        """
        if gpus is None:
            return None
        ids = self.placement.gpu_ids
        named_alike = {name.isdigit() for name in ids}
        if any(each not in ids and each.isdigit() not in named_alike for each in gpus):
            return None if ids else tuple(gpus)
        return tuple(ids.get(each, each) for each in gpus)

    async def _next(self) -> Start:
        while True:
            self._wake.clear()
            is_paused = self.holding or self.draining is not None
            start = None if is_paused else await self.find_next()
            if start is not None:
                return start
            await _wait_until_set(self._wake, RECHECK_SECONDS if self.queue else None)

    async def find_next(self) -> Start | None:
        """Return the job that can start now, and where; None if there is none."""
        for lane in self.placement.limits.lanes:
            if next(self.queue.in_lane(lane), None) is None or self._is_full(lane):
                continue
            await self._look_at_gpus(lane)
            self._decided_at = self._newest_event
            found = choose(self.queue.in_lane(lane), self.inventory, self._may_start)
            if isinstance(found, Head):
                found = await self._backfill(found)
            if found is not None:
                return found
        return None

    def _is_full(self, lane: Lane) -> bool:
        """Return whether nothing can start in a lane, however the GPUs look."""
        return Inventory(self.placement.limits, tuple(self._running.values())).is_full(lane)

    async def _look_at_gpus(self, lane: Lane) -> None:
        if lane is Lane.WITH_GPU and self.placement.unavailable is not None:
            self._unavailable = await retry_until_writable(self.placement.unavailable)

    async def _backfill(self, head: Head) -> Start | None:
        if not self.placement.backfill or not head.behind:
            return None
        expected = await retry_until_writable(
            partial(self.medians.of_jobs, [job.job_id for job in head.behind])
        )
        now = self._clock().timestamp()
        return backfill(head, self.inventory, now, self.placement.grace_s, expected)

    def _may_start(self, queued: QueuedJob) -> bool:
        """Return whether the job's checkpoint is complete, or it waits for none."""
        if not queued.demand.waits_for_checkpoint:
            return True
        job = self._waiting.get(queued.job_id)
        return job is not None and self._waits.may_start(job)

    async def _read_waiting(self, job_id: str) -> Job | None:
        """Return a queued job that waits for a checkpoint; it is read only once."""
        job = self._waiting.get(job_id)
        if job is None:
            try:
                job = await retry_until_writable(partial(self._store.queries.job, job_id))
            except JobPruned:
                return None
            # It may have left the queue while it was read.
            if job_id in self.queue:
                self._waiting[job_id] = job
        return job

    async def _claim(self, start: Start) -> Job | None:
        """Claim the next attempt of a queued job. Returns None if it is not next any more."""
        job_id, decided_at = start.job.job_id, self._decided_at
        try:
            job = await retry_until_writable(lambda: self._store.queries.job(job_id))
            paths = await self._attempts.reserve(job)
            await retry_until_writable(
                lambda: self._store.jobs.claim(
                    job, paths.run_dir, paths.output_dir, start.slot, decided_at
                )
            )
        except IllegalTransition as error:
            log.info("a job is not started now; deciding again", job=job_id, why=str(error))
            self._waiting.pop(job_id, None)
            # Whatever contradicts the decision may last: no busy loop.
            await asyncio.sleep(POLL_SECONDS)
            return None
        except JobPruned:
            self.queue.remove(job_id)
            return None
        crash_point("claimed")
        return await retry_until_writable(lambda: self._store.queries.job(job_id))


async def _wait_until_set(event: asyncio.Event, limit_s: float | None) -> None:
    """Wait until the event is set, or for ``limit_s`` seconds (None: no limit)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
