"""Waiting for checkpoints that a trainer is still writing, for queued jobs."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from pathlib import Path

import structlog

from evalserver.checkpoints.merging import model_args_before_merging
from evalserver.checkpoints.readiness import (
    Signature,
    local_checkpoints,
    not_ready_reason,
    signature,
)
from evalserver.core.clock import Clock
from evalserver.core.job import Job
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.checkpoints.waits")

MIN_STABLE_SECONDS = 3.0
"""A checkpoint is complete when its files have not changed for this long."""
MIN_COMPLETE_AGE_SECONDS = 60.0
"""A checkpoint whose files are all older than this is complete at the first check."""
CHECK_INTERVAL_SECONDS = 1.0
"""Time between two checks of one job."""

NOT_CHECKED_YET = "its checkpoint, which has not been checked yet"


@dataclass(frozen=True)
class _Observation:
    """The state of a checkpoint, and the time since which it has not changed."""

    signature: Signature
    since: float


class CheckpointWaits:
    """Checks the checkpoints of queued jobs that have ``wait_for_path_s``.

    Each check is a task of its own, so that a disk that does not respond delays only that job.
    ``on_ready`` is called when a job may be able to start. Must be closed.
    """

    def __init__(self, clock: Clock, threads: DiskThreads, on_ready: Callable[[], None]) -> None:
        self._clock = clock
        self._threads = threads
        self._on_ready = on_ready
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._checked_at: dict[str, float] = {}
        self._observations: dict[Path, _Observation] = {}
        self._ready: set[str] = set()
        self.reasons: dict[str, str] = {}
        """What each job waits for, if it was not ready at its last check."""

    def may_start(self, job: Job) -> bool:
        """Return whether the job's checkpoints are ready, or its time to wait is over."""
        return job.job_id in self._ready or self._is_expired(job)

    def check(self, job: Job) -> None:
        """Start a check of the job's checkpoints, unless one was made recently."""
        job_id, now = job.job_id, time.monotonic()
        if (
            job_id in self._checks
            or now - self._checked_at.get(job_id, -inf) < CHECK_INTERVAL_SECONDS
        ):
            return
        if self._is_expired(job):
            self._on_ready()
            return
        if job_id not in self._ready:
            self.reasons.setdefault(job_id, NOT_CHECKED_YET)
        self._checks[job_id] = asyncio.create_task(self._run_check(job), name="check a checkpoint")

    def forget(self, job_id: str) -> None:
        """Stop checking the job, which is no longer queued."""
        check = self._checks.pop(job_id, None)
        if check is not None:
            check.cancel()
        self._checked_at.pop(job_id, None)
        self.reasons.pop(job_id, None)
        self._ready.discard(job_id)
        if not self._checked_at and not self._checks:
            self._observations.clear()

    async def close(self) -> None:
        """Cancel all checks."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    def _is_expired(self, job: Job) -> bool:
        seconds = job.request.wait_for_path_s
        if seconds is None:
            return True
        return self._clock() >= datetime.fromisoformat(job.created_at) + timedelta(seconds=seconds)

    async def _run_check(self, job: Job) -> None:
        job_id = job.job_id
        try:
            reason = await self._find_reason(job)
        except DiskTimeout as error:
            reason = f"its checkpoint; {error}"
        except Exception as error:  # affects only this job
            log.exception("cannot check a checkpoint", job=job_id)
            reason = f"its checkpoint, which cannot be checked: {error!r}"
        self._checks.pop(job_id, None)
        self._checked_at[job_id] = time.monotonic()
        if reason is not None:
            self._ready.discard(job_id)
            self.reasons[job_id] = reason
            return
        self.reasons.pop(job_id, None)
        self._ready.add(job_id)
        self._on_ready()

    async def _find_reason(self, job: Job) -> str | None:
        """Return what the job waits for; None if all of its checkpoints are ready."""
        for path, found in await self._threads.run(_check_all, job):
            if isinstance(found, str):
                return f"its checkpoint: {path} {found}"
            if not self._is_settled(path, found):
                return f"its checkpoint: {path} is still being written to"
        return None

    def _is_settled(self, path: Path, signature: Signature) -> bool:
        now = time.monotonic()
        if time.time() - signature.newest > MIN_COMPLETE_AGE_SECONDS:
            return True
        before = self._observations.get(path)
        if before is None or before.signature != signature:
            self._observations[path] = _Observation(signature, now)
            return False
        return now - before.since >= MIN_STABLE_SECONDS


def _check_all(job: Job) -> list[tuple[Path, Signature | str]]:
    """Return each checkpoint of the job with its signature, or the reason why it is not ready."""
    paths = local_checkpoints(model_args_before_merging(job.request)).values()
    return [(path, not_ready_reason(path) or signature(path)) for path in paths]


def missing_checkpoint_reason(job: Job) -> str | None:
    """Return why a job fails whose time to wait is over; None if its checkpoints are ready."""
    if job.request.wait_for_path_s is None:
        return None
    for path in local_checkpoints(model_args_before_merging(job.request)).values():
        reason = not_ready_reason(path)
        if reason is not None:
            waited = f"{job.request.wait_for_path_s:g} s after the submission"
            return f"The checkpoint {path} {reason}, {waited}"
    return None
