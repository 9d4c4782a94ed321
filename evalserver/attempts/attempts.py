"""The attempts of claimed jobs: started, attended, stopped, and what became of them written down.

It owns no evaluation: it may end at any moment, and the next one finds each attempt again by its
run directory.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import structlog

from evalserver.attempts.launch import Planner
from evalserver.attempts.outcome import failed, judge, lost, unread
from evalserver.attempts.provenance import Probe, at_end, at_start, patient
from evalserver.attempts.run_directories import RunDirectories
from evalserver.checkpoints.waits import why_doomed
from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.health import Health
from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.supervision import log_failure
from evalserver.engines import Engine, Paths
from evalserver.executors import (
    Attempt,
    Executor,
    ExecutorError,
    Exit,
    ExitReason,
    Lost,
    NoRoom,
    secrets_of,
)
from evalserver.monitoring.progress import ProgressBoard, watched
from evalserver.outputs import mask_files
from evalserver.runner.crash_point import crash_point
from evalserver.store import IllegalTransition, JobPruned, Store, StoreUnavailable
from evalserver.system.disk_threads import DiskThreads
from evalserver.system.own_thread import in_own_thread

log = structlog.get_logger("evalserver.attempts.attempts")

T = TypeVar("T")

StartListener = Callable[[Job, str], None]

RETRY_SECONDS = 1.0
"""Between two tries to write while the store is unavailable, or to start or stop an attempt."""


async def persist(deed: Callable[[], Awaitable[T]]) -> T:
    """Do it as soon as the store can: an outcome is never lost to a full disk."""
    while True:
        try:
            return await deed()
        except StoreUnavailable as error:
            log.error("the store is unavailable; trying again", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)


@dataclass(frozen=True)
class Policy:
    """What the operator decided: how many finished jobs are kept, and the share of an evaluation's
    requests to its model that may fail, and whether every byte of a checkpoint is hashed; and how
    many seconds may go by with reading what an evaluation left, and its checkpoints."""

    max_completed_jobs: int
    max_failed_requests: float
    full_fingerprints: bool = False
    max_reading_s: float = 900.0
    max_fingerprints_s: float = 7200.0


class Attempts:
    """Carries claimed jobs to their ends. ``close`` it at last: no evaluation ends by that."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        engines: Mapping[str, Engine],
        directories: RunDirectories,
        planner: Planner,
        policy: Policy,
        board: ProgressBoard,
        health: Health,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._executor = executor
        self._engines = engines
        self._directories = directories
        self._planner = planner
        self._policy = policy
        self._board = board
        self._health = health
        self._clock = clock
        self._threads = DiskThreads("attempts")
        self._probe = Probe()
        self._deeds: set[asyncio.Task[None]] = set()
        self._start_listeners: list[StartListener] = []

    def subscribe(self, listener: StartListener) -> None:
        """Call ``listener`` with the job and the time whenever a runner was started for it."""
        self._start_listeners.append(listener)

    def close(self) -> None:
        """Give up what was to be tried again."""
        for deed in self._deeds:
            deed.cancel()
        self._threads.close()

    async def reserve(self, job: Job) -> Paths:
        """Make room for the attempt that the job is about to make."""
        paths = self._directories.next_attempt(job)
        await self._executor.reserve(paths.run_dir)
        return paths

    async def begin(self, job: Job) -> None:
        """Start the attempt that was claimed for the job, and see it through."""
        await self._see_through(job, self._start)

    async def resume(self, job: Job) -> None:
        """Carry on with a job that was running when the server last ended."""
        await self._see_through(job, self._recover)

    async def remove_files(self, job_ids: list[str]) -> None:
        """Delete all files of these jobs; never a directory that a client named."""
        if job_ids:
            await asyncio.to_thread(self._directories.remove, job_ids)

    async def remove_leftovers(self) -> None:
        """Delete what a crash left of jobs that were pruned."""
        # What the audit log does not know as pruned is not ours to remove.
        found = await asyncio.to_thread(self._directories.job_ids)
        leftovers = await self._store.pruned_among(found)
        if leftovers:
            log.info("removing the files of jobs that were pruned", jobs=len(leftovers))
        await self.remove_files(leftovers)

    async def stop(self, job: Job) -> None:
        """Have the job's attempt stopped; what fails now, for want of room, is tried again."""
        run_dir = self._directories.current_attempt(job).run_dir
        try:
            await self._executor.stop(run_dir)
        except OSError as error:
            log.error("cannot stop an evaluation yet; trying again", error=str(error))
            self._later(self._stop_again(job))

    async def _stop_again(self, job: Job) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        with contextlib.suppress(JobPruned, StoreUnavailable):
            current = await self._store.job(job.job_id)
            if (current.status, current.attempt) == (Status.RUNNING, job.attempt):
                await self.stop(job)

    def _later(self, deed: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(deed, name="stop an evaluation")
        self._deeds.add(task)
        task.add_done_callback(log_failure)
        task.add_done_callback(self._deeds.discard)

    async def _see_through(self, job: Job, deed: Callable[[Job], Awaitable[None]]) -> None:
        """Carry a claimed job to its end; a fault of ours fails that job, not those behind it."""
        if job.damage is not None:
            log.error("the record of a job is damaged", job=job.job_id, damage=job.damage)
            await self._give_up(job, f"The record of the job is damaged: {job.damage}")
            return
        try:
            await deed(job)
        except Exception as error:
            log.exception("a job met an error of evalserver itself", job=job.job_id)
            await self._give_up(job, f"evalserver itself failed: {error!r}")

    async def _give_up(self, job: Job, reason: str) -> None:
        """End what runs of the job's attempt, and fail the job."""
        await self.stop(job)
        await self._executor.wait(self._directories.current_attempt(job).run_dir)
        with contextlib.suppress(IllegalTransition, JobPruned):
            await self._finish(job, self._failed(reason))

    async def _recover(self, job: Job) -> None:
        """Start the attempt if nobody has; else find it again."""
        paths = self._directories.current_attempt(job)
        if not self._executor.was_started(paths.run_dir):
            await self._start(job)
            return
        log.info("found a running evaluation again", job=job.job_id, attempt=job.attempt)
        await persist(lambda: self._store.reattach(job.job_id))
        if job.cancel_requested_at is not None:
            await self.stop(job)
        await self._attend(job, paths)

    async def _start(self, job: Job) -> None:
        paths = self._directories.current_attempt(job)
        if job.cancel_requested_at is not None:
            await self.stop(job)
        attempt = await self._threads.run(self._prepare, job, paths)
        if isinstance(attempt, str):
            await self._finish(job, self._failed(attempt))
            return
        try:
            while not await self._found_room(attempt):
                if (await persist(lambda: self._store.job(job.job_id))).cancel_requested_at:
                    now = timestamp(self._clock())
                    await self._finish(job, Outcome(Status.CANCELLED, now))
                    return
                await asyncio.sleep(RETRY_SECONDS)
        except ExecutorError as error:
            reason = f"The evaluation could not be started: {error}"
            await self._finish(job, self._failed(reason))
            return
        crash_point("started")
        for listener in self._start_listeners:
            listener(job, timestamp(self._clock()))
        run_dir = str(paths.run_dir)
        log.info("evaluation started", job=job.job_id, attempt=job.attempt, run_dir=run_dir)
        await self._attend(job, paths)

    async def _found_room(self, attempt: Attempt) -> bool:
        """Start the attempt; False when the machine has no room for it now."""
        try:
            await self._executor.start(attempt)
        except NoRoom as error:
            log.error("cannot start an evaluation yet; trying again", error=str(error))
            return False
        return True

    def _prepare(self, job: Job, paths: Paths) -> Attempt | str:
        """What is to be started, or why it cannot be. Looks at the disk, in one go."""
        fault = self._directories.fault(job)
        if fault is not None:
            return f"The evaluation was not started. {fault}"
        doomed = why_doomed(job)
        if doomed is not None:
            return doomed
        attempt = self._planner.attempt(job, paths, _token(job))
        seen = at_start(job, self._directories.outputs, full=self._policy.full_fingerprints)
        return replace(attempt, files={**attempt.files, **seen})

    async def _attend(self, job: Job, paths: Paths) -> None:
        """Wait for the end of the job's attempt, and write its outcome."""
        engine = self._engines[job.engine]
        asking = self._probe.ask(engine, self._planner.environment(engine))
        probing = asyncio.create_task(asking, name="probe a harness")
        reader = self._planner.progress_reader(job)
        try:
            async with watched(self._board, self._health, job.job_id, paths.run_dir, reader):
                end = await self._executor.wait(paths.run_dir)
            await self._conclude(job, paths, end, await patient(probing))
        finally:
            probing.cancel()
            # Awaited, so that what it asks is ended and reaped before the event loop is.
            await asyncio.wait([probing])

    async def _conclude(
        self, job: Job, paths: Paths, end: Exit | Lost, probed: Mapping[str, Any]
    ) -> None:
        """Write down how an attempt ended, or try it again."""
        crash_point("ended")
        await self._mask_output(job, paths)
        if isinstance(end, Lost):
            await self._after_loss(job, end.why)
            return
        if end.reason is ExitReason.TERMINATED:
            await self._after_loss(job, "it was told to end, by somebody or by a shutdown")
            return
        outcome = await self._outcome(job, paths, end)
        await self._finish(job, await self._with_provenance(job, paths, outcome, probed))

    async def _mask_output(self, job: Job, paths: Paths) -> None:
        limit_s = self._policy.max_reading_s
        try:
            await in_own_thread(_mask_output, job, paths, limit_s=limit_s)
        except TimeoutError:
            why = f"the output directory could not be read within {limit_s:g} s"
            log.error("secrets in files may not be masked", job=job.job_id, why=why)

    async def _outcome(self, job: Job, paths: Paths, end: Exit) -> Outcome:
        engine, policy = self._engines[job.engine], self._policy
        allowed, limit_s = policy.max_failed_requests, policy.max_reading_s
        try:
            return await in_own_thread(judge, job, engine, paths, end, allowed, limit_s=limit_s)
        except TimeoutError:
            return unread(paths, end, limit_s)

    async def _with_provenance(
        self, job: Job, paths: Paths, outcome: Outcome, probed: Mapping[str, Any]
    ) -> Outcome:
        engine, policy = self._engines[job.engine], self._policy
        known = partial(at_end, full=policy.full_fingerprints)
        given = (job, engine, paths.run_dir, outcome, probed, self._directories.outputs)
        try:
            return await in_own_thread(known, *given, limit_s=policy.max_fingerprints_s)
        except TimeoutError:
            log.error("the checkpoints of a job could not be read", job=job.job_id)
            return outcome

    async def _after_loss(self, job: Job, why: str) -> None:
        """The attempt ended through no fault of the evaluation: try again, if one may."""
        run_dir = self._directories.current_attempt(job).run_dir
        strays = await self._executor.end_strays(run_dir, _token(job))
        log.warning(
            "a runner was lost",
            **{"job": job.job_id, "attempt": job.attempt, "why": why},
            **{"strays_ended": strays.ended, "doubt": strays.doubt},
        )
        if strays.doubt is not None:
            why = f"{why}; {strays.doubt}"
        crash_point("lost")
        current = await persist(lambda: self._store.job(job.job_id))
        if current.cancel_requested_at is None and job.attempt < job.max_attempts:
            reason = f"the runner was lost: {why}"
            await persist(lambda: self._store.interrupt(job.job_id, reason))
            crash_point("interrupted")
        else:
            paths = self._directories.current_attempt(job)
            now = timestamp(self._clock())
            await self._finish(job, await asyncio.to_thread(lost, current, paths, why, now))

    async def _finish(self, job: Job, outcome: Outcome) -> None:
        pruned = await persist(
            lambda: self._store.finish(job.job_id, outcome, self._policy.max_completed_jobs)
        )
        crash_point("finished")
        log.info("evaluation ended", job=job.job_id, status=outcome.status.value)
        await self.remove_files(pruned)

    def _failed(self, reason: str) -> Outcome:
        return failed(reason, timestamp(self._clock()))


def _mask_output(job: Job, paths: Paths) -> None:
    """Take away what is secret of what the harness wrote, before anybody is shown it."""
    unseen = mask_files(paths.output_dir, secrets_of(paths.run_dir))
    if unseen:
        log.error("secrets in these files may not be masked", job=job.job_id, files=unseen[:10])


def _token(job: Job) -> str:
    return f"{job.job_id}/{job.attempt}"
