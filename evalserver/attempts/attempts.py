"""The attempts of claimed jobs: starting them, waiting for their ends, and stopping them.

The evaluations do not depend on this process: it may end at any time, and the next one finds every
attempt again by its run directory.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog

from evalserver.attempts.conclusion import Concluder
from evalserver.attempts.launch import Planner
from evalserver.attempts.launcher import Launcher
from evalserver.attempts.provenance import HarnessProbe
from evalserver.attempts.retry import RETRY_SECONDS, retry_until_writable
from evalserver.attempts.run_directories import RunDirectories
from evalserver.attempts.stalls import StallWatch
from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.health import Health
from evalserver.core.job import Job
from evalserver.core.lifecycle import UNFINISHED, Status
from evalserver.core.supervision import log_failure
from evalserver.engines import Engine, Paths
from evalserver.executors import Cluster, Executors
from evalserver.monitoring.progress import ProgressBoard, watch_progress
from evalserver.runner.crash_point import crash_point
from evalserver.store import IllegalTransition, JobPruned, Store, StoreUnavailable

log = structlog.get_logger("evalserver.attempts.attempts")

T = TypeVar("T")

StartListener = Callable[[Job, str], None]
ChangeWaiting = Callable[[Cluster, Path], Awaitable[None]]


class Attempts:
    """Runs claimed jobs to their ends. ``close`` leaves running evaluations alone."""

    def __init__(
        self,
        store: Store,
        executors: Executors,
        engines: Mapping[str, Engine],
        directories: RunDirectories,
        planner: Planner,
        launcher: Launcher,
        concluder: Concluder,
        board: ProgressBoard,
        health: Health,
        stalls: StallWatch,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._executors = executors
        self._engines = engines
        self._directories = directories
        self._planner = planner
        self._board = board
        self._health = health
        self._stalls = stalls
        self._clock = clock
        self._concluder = concluder
        self._launcher = launcher
        self._probe = HarnessProbe(executors.local)
        self._retries: set[asyncio.Task[None]] = set()
        self._start_listeners: list[StartListener] = []

    def subscribe(self, listener: StartListener) -> None:
        """Call ``listener`` with the job and the time whenever a runner was started for it."""
        self._start_listeners.append(listener)

    @property
    def max_end_s(self) -> float:
        """How long it may take, after a time limit and the grace for SIGTERM, until an attempt has
        ended and its outcome is recorded."""
        return self._concluder.max_end_s

    def close(self) -> None:
        """Cancel pending retries."""
        for task in self._retries:
            task.cancel()

    async def reserve(self, job: Job) -> Paths:
        """Create the run directory for the job's next attempt."""
        paths = self._directories.next_attempt(job)
        await self._executors.of(job.executor).reserve(paths.run_dir)
        return paths

    async def begin(self, job: Job) -> None:
        """Start the attempt that was claimed for the job, and run it to its end."""
        await self._guard(job, self._start)

    async def resume(self, job: Job) -> None:
        """Continue with a job that was running when the server last ended."""
        await self._guard(job, self._recover)

    async def stop(self, job: Job) -> None:
        """Request the end of the job's attempt. If that fails now, it is tried again later."""
        run_dir = self._directories.current_attempt(job).run_dir
        try:
            await self._executors.of(job.executor).stop(run_dir)
        except OSError as error:
            log.error("cannot stop an evaluation yet; trying again", error=str(error))
            self._run_later(self._stop_again(job))

    async def change_waiting(self, job: Job, change: ChangeWaiting) -> None:
        """Change the job's attempt, if it still waits on its cluster: hold it, and the like."""
        if job.status is Status.QUEUED and job.handed_over_at is not None:
            cluster = self._executors.clusters[job.executor]
            await change(cluster, self._directories.current_attempt(job).run_dir)

    async def _stop_again(self, job: Job) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        with contextlib.suppress(JobPruned, StoreUnavailable):
            current = await self._store.queries.job(job.job_id)
            if current.status in UNFINISHED and current.attempt == job.attempt:
                await self.stop(job)

    def _run_later(self, retry: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(retry, name="stop an evaluation")
        self._retries.add(task)
        task.add_done_callback(log_failure)
        task.add_done_callback(self._retries.discard)

    async def _guard(self, job: Job, run: Callable[[Job], Awaitable[T]]) -> T | None:
        """Run a job. An internal error fails this job, and no other; then it returns None."""
        if job.damage is not None:
            log.error("the record of a job is damaged", job=job.job_id, damage=job.damage)
            await self._abort_in_the_end(job, f"The record of the job is damaged: {job.damage}")
            return None
        try:
            return await run(job)
        except Exception as error:
            log.exception("a job met an error of evalserver itself", job=job.job_id)
            await self._abort_in_the_end(job, f"evalserver itself failed: {error!r}")
            return None

    async def _abort_in_the_end(self, job: Job, reason: str) -> None:
        """Abort the job; if that fails, again and again: other jobs must not notice."""
        while True:
            try:
                await self._abort(job, reason)
            except Exception:
                log.exception("cannot end a job yet; trying again", job=job.job_id)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _abort(self, job: Job, reason: str) -> None:
        """Stop the job's attempt if it is running, and fail the job."""
        await self.stop(job)
        await self._executors.of(job.executor).wait(self._directories.current_attempt(job).run_dir)
        with contextlib.suppress(IllegalTransition, JobPruned):
            await self._concluder.fail(job, reason, "server_error")

    async def _recover(self, job: Job) -> None:
        """Supervise the attempt if it was started, or else start it."""
        paths = self._directories.current_attempt(job)
        if not await self._executors.of(job.executor).was_started(paths.run_dir):
            await self._start(job)
            return
        log.info("found a running evaluation again", job=job.job_id, attempt=job.attempt)
        await retry_until_writable(lambda: self._store.jobs.reattach(job.job_id))
        if job.cancel_requested_at is not None:
            await self.stop(job)
        await self._supervise(job, paths)

    async def _start(self, job: Job) -> None:
        if not await self._launcher.launch(job):
            return
        crash_point("started")
        for listener in self._start_listeners:
            listener(job, timestamp(self._clock()))
        await self._supervise(job, self._directories.current_attempt(job))

    async def hand_over(self, job: Job) -> bool:
        """Hand the attempt that was begun for the job over to its cluster.

        Returns whether it is there; if not, the job has ended. Waits while the cluster cannot be
        reached.
        """
        return await self._guard(job, self._hand_over) or False

    async def follow(self, job: Job) -> None:
        """Wait for the start of an attempt that was handed over, and run it to its end."""
        await self._guard(job, self._follow)

    async def find_handed_over(self, job: Job) -> bool:
        """Return whether an attempt that was handed over before a restart reached its cluster; if
        not, hand it over now. False if the job has ended."""
        run_dir = self._directories.current_attempt(job).run_dir
        if await self._executors.of(job.executor).was_started(run_dir):
            return True
        return await self.hand_over(job)

    async def _hand_over(self, job: Job) -> bool:
        is_there = await self._launcher.launch(job)
        crash_point("handed_over")
        return is_there

    async def _follow(self, job: Job) -> None:
        paths = self._directories.current_attempt(job)
        cluster = self._executors.clusters[job.executor]
        if job.cancel_requested_at is not None:
            await self.stop(job)
        started_at = await cluster.wait_started(paths.run_dir)
        if started_at is not None:
            await retry_until_writable(lambda: self._store.jobs.start(job.job_id, started_at))
            crash_point("recorded_start")
            for listener in self._start_listeners:
                listener(job, started_at)
        await self._supervise(job, paths)

    async def _supervise(self, job: Job, paths: Paths) -> None:
        """Wait for the end of the job's attempt, and write its outcome."""
        engine = self._engines[job.engine]
        probe = self._probe.run(engine, self._planner.environment(engine))
        probing = asyncio.create_task(probe, name="probe a harness")
        reader = self._planner.progress_reader(job)
        try:
            async with (
                watch_progress(self._board, self._health, job.job_id, paths.run_dir, reader),
                self._stalls.watch(job, paths, self.stop),
            ):
                end = await self._executors.of(job.executor).wait(paths.run_dir)
            await asyncio.wait([probing])
            is_failed = probing.cancelled() or probing.exception() is not None
            probed = {} if is_failed else probing.result()
            await self._concluder.conclude(job, paths, end, probed)
        finally:
            probing.cancel()
            # Awaited, so that its child process is ended and reaped before the event loop is.
            await asyncio.wait([probing])
