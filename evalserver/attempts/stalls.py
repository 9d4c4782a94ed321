"""Noticing attempts that stall: nothing is written for a time, and no GPU is used."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from evalserver.attempts.activity import ActivitySnapshot, take_snapshot
from evalserver.attempts.retry import retry_until_writable
from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.health import Health
from evalserver.core.job import Job
from evalserver.core.request import EvaluateRequest
from evalserver.core.supervision import supervised
from evalserver.engines import Paths
from evalserver.runner.crash_point import crash_point
from evalserver.store import IllegalTransition, JobPruned, Store
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.attempts.stalls")

MAX_LOOK_SECONDS = 60.0
LOOKS = 10
"""In the time after which an attempt counts as stalled; more, if that is long."""
LOOK_LIMIT_SECONDS = 60.0
"""How long a disk may take to answer."""

StopAttempt = Callable[[Job], Awaitable[None]]
GpuIdle = Callable[[Job], float | None]


@dataclass(frozen=True)
class StallPolicy:
    """After how many seconds without activity an attempt has stalled (0: never), and whether it is
    stopped then and fails; of requests that do not say it."""

    after_s: float
    fails: bool

    def of(self, request: EvaluateRequest) -> "StallPolicy":
        """Return what holds for a request."""
        return StallPolicy(
            self.after_s if request.stall_after_s is None else request.stall_after_s,
            self.fails if request.on_stall is None else request.on_stall == "fail",
        )


class StallWatch:
    """Records when running jobs stall and when they are active again, and stops those that fail for
    it.

    ``gpu_idle_s`` says for how many seconds none of a job's GPUs was used; None: unknown.
    """

    def __init__(
        self,
        store: Store,
        health: Health,
        policy: StallPolicy,
        gpu_idle_s: GpuIdle = lambda job: None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._health = health
        self._policy = policy
        self._gpu_idle_s = gpu_idle_s
        self._clock = clock
        self._monotonic = monotonic
        self._threads = DiskThreads("looking whether an evaluation is active", LOOK_LIMIT_SECONDS)

    @asynccontextmanager
    async def watch(self, job: Job, paths: Paths, stop: StopAttempt) -> AsyncIterator[None]:
        """Watch an attempt that runs during the block. Errors do not affect the block."""
        name = f"watch for a stall of job {job.job_id}"
        work = partial(self._watch, job.job_id, paths, stop)
        async with supervised({name: work}, self._health):
            yield

    async def _watch(self, job_id: str, paths: Paths, stop: StopAttempt) -> None:
        with suppress(IllegalTransition, JobPruned):  # it has ended
            job = await self._store.queries.job(job_id)
            if not await self._store.queries.fails_for_stall(job):
                await self._wait_for_failing_stall(job, paths)
                crash_point("stalled")
            await stop(job)

    async def _wait_for_failing_stall(self, job: Job, paths: Paths) -> None:
        """Record stalls and their ends; return when the attempt is to be stopped for one."""
        policy = self._policy.of(job.request)
        if policy.after_s <= 0:
            await asyncio.Event().wait()
        idle = _IdleTime(self._monotonic)
        is_stalled = job.stalled_since is not None
        while True:
            seconds = await self._look(job, paths, idle)
            if is_stalled and seconds is not None and seconds < policy.after_s:
                await retry_until_writable(lambda: self._store.jobs.end_stall(job.job_id))
                log.info("an evaluation is active again", job=job.job_id)
                is_stalled = False
            # Not by a single look: the clock may have been set while no server was running.
            if not is_stalled and idle.looks > 1 and (seconds or 0) >= policy.after_s:
                since = timestamp(self._clock() - timedelta(seconds=seconds or 0))
                await self._record(job, since, fails=policy.fails)
                is_stalled = True
                if policy.fails:
                    return
            await asyncio.sleep(min(MAX_LOOK_SECONDS, policy.after_s / LOOKS))

    async def _record(self, job: Job, since: str, *, fails: bool) -> None:
        await retry_until_writable(lambda: self._store.jobs.stall(job.job_id, since, fails=fails))
        log.warning("an evaluation has stalled", job=job.job_id, since=since, fails=fails)

    async def _look(self, job: Job, paths: Paths, idle: "_IdleTime") -> float | None:
        """Return for how many seconds the attempt has been inactive; None if unknown now."""
        try:
            snapshot = await self._threads.run(take_snapshot, job.request, paths)
        except DiskTimeout as error:
            log.error("cannot see whether an evaluation is active", job=job.job_id, why=str(error))
            return None
        return idle.after(snapshot, self._clock().timestamp(), self._gpu_idle_s(job))


class _IdleTime:
    """Counts how long an attempt has been inactive.

    Between two looks by a clock that cannot be set, and that stops with the machine. Before the
    first look by the times of its files, so that a new server does not begin again.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._state: tuple[int, ...] | None = None
        self._active_at = 0.0
        self._looked_at = 0.0
        self.looks = 0

    def after(self, snapshot: ActivitySnapshot, now: float, gpu_idle_s: float | None) -> float:
        """Return the seconds without activity after one more look, at the time ``now``.

        ``gpu_idle_s`` says for how many seconds no GPU was used. At the first look it says nothing:
        a new server was not there before.
        """
        self.looks += 1
        counted = self._monotonic()
        used_gpu = gpu_idle_s is not None and gpu_idle_s < counted - self._looked_at
        if self._state is None:
            self._active_at = counted - max(0.0, now - (snapshot.newest or now))
        elif snapshot.state != self._state or used_gpu:
            self._active_at = counted
        self._looked_at, self._state = counted, snapshot.state
        return counted - self._active_at
