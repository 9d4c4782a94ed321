"""The end of an attempt: what it left is read, and the job's outcome is written to the store."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from evalserver.attempts.outcome import (
    failed,
    judge,
    lost,
    lost_while_stalled,
    lost_without_results,
    unread,
)
from evalserver.attempts.provenance import RequestOf, at_end, submitted_request
from evalserver.attempts.retention import Retention
from evalserver.attempts.retry import retry_until_writable
from evalserver.attempts.run_directories import RunDirectories
from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import Status
from evalserver.engines import Engine, Paths
from evalserver.executors import AttemptInfo, Cancelled, Executors, Exit, ExitReason, Lost
from evalserver.outputs import mask_files
from evalserver.runner.crash_point import crash_point
from evalserver.store import IllegalTransition, Store
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.attempts.conclusion")

MAX_KILL_SECONDS = 60.0
"""How long a runner may take to start, and processes to end after SIGKILL."""

MAX_ASKING_SECONDS = 120.0
"""How long the harness and the executor may take to say what was run."""


@dataclass(frozen=True)
class Policy:
    """The operator's decisions: the share of an evaluation's requests to its model that may fail,
    whether every byte of a checkpoint is hashed, and the seconds that reading the output and the
    checkpoints may take."""

    max_failed_requests: float
    full_fingerprints: bool = False
    max_reading_s: float = 900.0
    max_fingerprints_s: float = 7200.0

    @property
    def max_start_fingerprints_s(self) -> float | None:
        """How long the checkpoints may take to be read before a start; None: the usual limit."""
        return self.max_fingerprints_s if self.full_fingerprints else None

    @property
    def max_end_fingerprints_s(self) -> float:
        """How long the checkpoints may take to be read after the end."""
        return self.max_fingerprints_s if self.full_fingerprints else self.max_reading_s

    @property
    def max_conclusion_s(self) -> float:
        """How long it may take to read what an attempt left and to record its outcome: its files
        are masked, judged and measured, and its checkpoints are read again."""
        return 3 * self.max_reading_s + self.max_end_fingerprints_s + MAX_ASKING_SECONDS


class Concluder:
    """Turns the end of an attempt into the outcome of its job, or into another attempt.

    ``gpu_load`` returns what a job used of its GPUs, as a part of its provenance; ``request_of`` a
    job's request with the paths that its evaluation reads.
    """

    def __init__(
        self,
        store: Store,
        executors: Executors,
        engines: Mapping[str, Engine],
        directories: RunDirectories,
        retention: Retention,
        policy: Policy,
        clock: Clock = utc_now,
        gpu_load: Callable[[str], Mapping[str, Any]] | None = None,
        request_of: RequestOf = submitted_request,
    ) -> None:
        self._request_of = request_of
        self._store = store
        self._executors = executors
        self._engines = engines
        self._directories = directories
        self._retention = retention
        self._policy = policy
        self._clock = clock
        self._gpu_load = gpu_load
        self._threads = DiskThreads("reading what an attempt left", policy.max_reading_s)

    @property
    def max_end_s(self) -> float:
        """How long it may take, after a time limit and the grace for SIGTERM, until an attempt has
        ended and its outcome is recorded."""
        return MAX_KILL_SECONDS + self._policy.max_conclusion_s

    async def conclude(
        self, job: Job, paths: Paths, end: Exit | Lost | Cancelled, probed: Mapping[str, Any]
    ) -> None:
        """Write the outcome of a job whose attempt ended, or queue the job again.

        ``probed`` is what the harness's interpreter reported about its environment.
        """
        crash_point("ended")
        if isinstance(end, Cancelled):
            if not await self._is_stopped_for_stall(await self._read(job)):
                await self.cancel(job)
                return
            end = Lost("it left no record of its end")
        info = await self._executors.of(job.executor).describe(paths.run_dir)
        await self._mask_output(job, paths, info)
        if isinstance(end, Lost):
            await self._conclude_lost(job, paths, info, end)
            return
        if end.reason is ExitReason.TERMINATED:
            why = "it was terminated by somebody or by a shutdown"
            terminated = Lost(why, started_at=end.started_at)
            await self._conclude_lost(job, paths, info, terminated)
            return
        if end.reason is ExitReason.CANCELLED:
            job = await self._read(job)
            if await self._is_stopped_for_stall(job):
                end = replace(end, reason=ExitReason.STALLED)
        outcome = replace(await self._judge(job, paths, end, info), started_at=end.started_at)
        await self.finish(job, await self._add_provenance(job, paths, info, outcome, probed))

    async def fail(self, job: Job, reason: str, code: str) -> None:
        """Fail a job whose harness did not run, with a code of the table of failures."""
        await self.finish(job, failed(reason, code, self._now()))

    async def cancel(self, job: Job) -> None:
        """Record that a job whose harness did not run is cancelled."""
        await self.finish(job, Outcome(Status.CANCELLED, self._now()))

    async def postpone(self, job: Job, reason: str) -> None:
        """Queue a job whose harness did not run again; if it was to be cancelled, cancel it."""
        try:
            await retry_until_writable(lambda: self._store.jobs.postpone(job.job_id, reason))
        except IllegalTransition:
            await self.cancel(job)
            return
        log.info("put a job back into the queue", job=job.job_id, why=reason)

    async def finish(self, job: Job, outcome: Outcome) -> None:
        """Write the outcome of a job, and remove the files of jobs that are pruned for it."""
        retention = self._retention
        size = await retention.measure(job)
        outcome = replace(outcome, output_bytes=size)
        pruned = await retry_until_writable(
            lambda: self._store.jobs.finish(
                job.job_id, outcome, retention.max_finished, retention.max_bytes
            )
        )
        crash_point("finished")
        log.info("evaluation ended", job=job.job_id, status=outcome.status.value)
        await retention.remove_pruned(pruned)

    async def _mask_output(self, job: Job, paths: Paths, info: AttemptInfo) -> None:
        """Mask secrets in the harness's files before anybody can read them."""
        try:
            unmasked = await self._threads.run(mask_files, paths.output_dir, info.secrets)
        except DiskTimeout:
            limit_s = self._policy.max_reading_s
            why = f"the output directory could not be read within {limit_s:g} s"
            log.error("secrets in files may not be masked", job=job.job_id, why=why)
            return
        if unmasked:
            files = unmasked[:10]
            log.error("secrets in these files may not be masked", job=job.job_id, files=files)

    async def _judge(self, job: Job, paths: Paths, end: Exit, info: AttemptInfo) -> Outcome:
        policy = self._policy
        given = (job, self._engines[job.engine], paths, end, info, policy.max_failed_requests)
        try:
            return await self._threads.run(judge, *given)
        except DiskTimeout:
            return unread(paths, end, policy.max_reading_s)

    async def _add_provenance(
        self,
        job: Job,
        paths: Paths,
        info: AttemptInfo,
        outcome: Outcome,
        probed: Mapping[str, Any],
    ) -> Outcome:
        policy = self._policy
        if self._gpu_load is not None and (load := self._gpu_load(job.job_id)):
            outcome = replace(outcome, provenance={**(outcome.provenance or {}), **load})
        add = partial(at_end, full=policy.full_fingerprints, request_of=self._request_of)
        given = (job, self._engines[job.engine], paths.run_dir, info, outcome, probed)
        try:
            return await self._threads.run(
                add, *given, self._directories.outputs, limit_s=policy.max_end_fingerprints_s
            )
        except DiskTimeout:
            log.error("the checkpoints of a job could not be read", job=job.job_id)
            return outcome

    async def _conclude_lost(self, job: Job, paths: Paths, info: AttemptInfo, end: Lost) -> None:
        """Queue the job of a lost attempt again, or fail it if it has no attempt left."""
        why = end.why
        orphans = await self._executors.of(job.executor).kill_orphans(
            paths.run_dir, attempt_token(job)
        )
        log.warning(
            "a runner was lost",
            job=job.job_id,
            attempt=job.attempt,
            why=why,
            orphans_killed=orphans.count,
            doubt=orphans.doubt,
        )
        if orphans.doubt is not None:
            end = replace(end, why=f"{why}; {orphans.doubt}")
        crash_point("lost")
        current = await self._read(job)
        is_stalled = await self._is_stopped_for_stall(current)
        may_try_again = end.may_retry and current.cancel_requested_at is None and not is_stalled
        if may_try_again and job.attempt < job.max_attempts:
            reason = f"the runner was lost: {end.why}"
            await retry_until_writable(
                lambda: self._store.jobs.interrupt(job.job_id, reason, end.started_at)
            )
            crash_point("interrupted")
            return
        outcome = await self._judge_lost(current, paths, info, end)
        if is_stalled:
            outcome = lost_while_stalled(outcome, current, end.why)
        await self.finish(job, replace(outcome, started_at=end.started_at))

    async def _read(self, job: Job) -> Job:
        """Return the job's record as it is now."""
        return await retry_until_writable(lambda: self._store.queries.job(job.job_id))

    async def _is_stopped_for_stall(self, job: Job) -> bool:
        """Return whether the job's attempt was stopped because it stalled, and by nobody."""
        if job.cancel_requested_at is not None:
            return False
        return await retry_until_writable(lambda: self._store.queries.fails_for_stall(job))

    async def _judge_lost(self, job: Job, paths: Paths, info: AttemptInfo, end: Lost) -> Outcome:
        engine, now = self._engines[job.engine], self._now()
        try:
            return await self._threads.run(lost, job, engine, paths, info, end, now)
        except DiskTimeout:
            return await asyncio.to_thread(lost_without_results, job, paths, info, end, now)

    def _now(self) -> str:
        return timestamp(self._clock())


def attempt_token(job: Job) -> str:
    """Return the token of the job's current attempt."""
    return f"{job.job_id}/{job.attempt}"
