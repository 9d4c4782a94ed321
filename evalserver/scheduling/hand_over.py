"""Handing jobs over to one cluster, in their order, and following them there.

The order ends where the cluster's begins: what was handed over waits there, and starts when the
cluster says so.
"""

import asyncio
from pathlib import Path
from typing import Protocol

from evalserver.attempts.attempts import Attempts, ChangeWaiting
from evalserver.core.job import Job, QueuedJob
from evalserver.core.lifecycle import UNFINISHED, Status
from evalserver.executors.base import Cluster, ClusterJob
from evalserver.runner.crash_point import crash_point
from evalserver.scheduling.beginning import begin_attempt
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.timing import wait_until_set
from evalserver.store import CommittedEvent, Store

RECHECK_SECONDS = 1.0
"""Between two looks at jobs that wait for their checkpoints."""


class Permission(Protocol):
    """Says what may be handed over now. After a change ``HandOver.wake`` is to be called."""

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to start now."""

    @property
    def is_draining(self) -> bool:
        """Whether an administrator has paused the queue, on clusters, too."""

    def may_start(self, job: QueuedJob) -> bool:
        """Return whether a queued job's checkpoint is complete, or it waits for none."""


class HandOver:
    """Hands over the jobs of one cluster. Call ``load`` first, then await ``run`` in a task."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        store: Store,
        attempts: Attempts,
        queue: QueueIndex,
        permission: Permission,
    ) -> None:
        self.name = name
        self.cluster = cluster
        self._store = store
        self._attempts = attempts
        self._queue = queue
        self._permission = permission
        self._is_held: bool | None = None
        """Whether what waits is held; None: the server before may have held it, or not."""
        self._changed = asyncio.Event()
        self._there: dict[str, Status] = {}
        self._newest_event = 0

    @property
    def waiting(self) -> tuple[str, ...]:
        """The jobs that were handed over and have not started, in that order."""
        return self._with_status(Status.QUEUED)

    @property
    def running(self) -> tuple[str, ...]:
        """The jobs that run on the cluster, in the order in which they were handed over."""
        return self._with_status(Status.RUNNING)

    @property
    def is_full(self) -> bool:
        """Whether the cluster has as many jobs of this server as it may have."""
        return len(self._there) >= self.cluster.max_handed_over

    def find_job(self, job: Job) -> ClusterJob | None:
        """Return a job as the cluster knows it; None if it is not there, or not known there."""
        is_there = job.status in UNFINISHED and job.handed_over_at is not None
        return self.cluster.find_job(Path(job.run_dir)) if is_there and job.run_dir else None

    def load(self, job: Job) -> None:
        """Add a job that was handed over before the server last ended, and has not ended."""
        self._there[job.job_id] = job.status

    def on_event(self, event: CommittedEvent) -> None:
        """Follow a change of a job."""
        self._newest_event = event.event_id
        if event.executor != self.name:
            return
        if event.handed_over_at is not None and event.after in UNFINISHED:
            self._there[event.job_id] = event.after
        else:
            self._there.pop(event.job_id, None)
        self.wake()

    def wake(self) -> None:
        """Look again whether a job can be handed over."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled, hand jobs over: first those that were being handed over when the server
        last ended."""
        try:
            async with asyncio.TaskGroup() as followers:
                for job in await self._unfinished():
                    followers.create_task(self._continue(job))
                while True:
                    begun = await self._begin(await self._next())
                    if begun is not None and await self._attempts.hand_over(begun):
                        followers.create_task(self._attempts.follow(begun))
        except ExceptionGroup as errors:
            # One cause says more to the person who reads it than a group.
            raise errors.exceptions[0] from errors

    async def _unfinished(self) -> list[Job]:
        queries = self._store.queries
        jobs = [*await queries.running(), *await queries.handed_over()]
        return [job for job in jobs if job.executor == self.name]

    async def _continue(self, job: Job) -> None:
        if job.started_at is not None:
            await self._attempts.resume(job)
        elif await self._attempts.find_handed_over(job):
            await self._attempts.follow(job)

    async def _next(self) -> QueuedJob:
        while True:
            self._changed.clear()
            await self._hold_or_release()
            job = None if self._permission.is_paused else self._first()
            if job is not None:
                return job
            is_empty = self._queue.is_empty(self.name)
            await wait_until_set(self._changed, None if is_empty else RECHECK_SECONDS)

    def _first(self) -> QueuedJob | None:
        """Return the first job whose checkpoint is complete, if the cluster has room for it."""
        if self.is_full:
            return None
        return next(filter(self._permission.may_start, self._queue.in_lane(self.name)), None)

    async def _hold_or_release(self) -> None:
        """Keep what waits on the cluster from starting while the queue is drained."""
        is_draining = self._permission.is_draining
        if is_draining == self._is_held:
            return
        self._is_held = is_draining
        change: ChangeWaiting = _hold if is_draining else _release
        for job_id in self.waiting:
            await self._attempts.change_waiting(await self._store.queries.job(job_id), change)

    def _with_status(self, status: Status) -> tuple[str, ...]:
        return tuple(job_id for job_id, found in self._there.items() if found is status)

    async def _begin(self, queued: QueuedJob) -> Job | None:
        decided_at = self._newest_event

        async def write(job: Job, run_dir: Path, output_dir: Path) -> None:
            await self._store.jobs.hand_over(job, run_dir, output_dir, decided_at)
            crash_point("handing_over")

        return await begin_attempt(self._store, self._attempts, self._queue, queued.job_id, write)


async def _hold(cluster: Cluster, run_dir: Path) -> None:
    await cluster.hold(run_dir)


async def _release(cluster: Cluster, run_dir: Path) -> None:
    await cluster.release(run_dir)
