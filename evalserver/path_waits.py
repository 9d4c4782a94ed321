"""Queued jobs that wait for a checkpoint which a trainer is still writing."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from evalserver.checkpoints import Signature, local_checkpoints, signature, why_not
from evalserver.clock import Clock
from evalserver.job import Job
from evalserver.merging import before_merging

SETTLED_SECONDS = 3.0
"""A checkpoint that was not written to for so long is complete."""
OLD_SECONDS = 60.0
"""One whose files are all older than that was complete when it was first looked at."""


@dataclass(frozen=True)
class _Look:
    """What was seen of a checkpoint, and since when it has looked like that."""

    seen: Signature
    since: float


class PathWaits:
    """Says of jobs with ``wait_for_path_s`` whether their turn has come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: dict[Path, _Look] = {}
        self.reasons: dict[str, str] = {}
        """What each job waits for that was held back when it was last looked at."""

    async def holds(self, job: Job) -> bool:
        """Must the job wait on? Not when its checkpoints are there, nor when its time is up."""
        reason = None if self._is_over(job) else await asyncio.to_thread(self._reason, job)
        if reason is None:
            self.forget(job.job_id)
            return False
        self.reasons[job.job_id] = reason
        return True

    def forget(self, job_id: str) -> None:
        """The job waits no more."""
        self.reasons.pop(job_id, None)
        if not self.reasons:
            self._looks.clear()

    def _is_over(self, job: Job) -> bool:
        seconds = job.request.wait_for_path_s
        if seconds is None:
            return True
        return self._clock() >= datetime.fromisoformat(job.created_at) + timedelta(seconds=seconds)

    def _reason(self, job: Job) -> str | None:
        for path in local_checkpoints(before_merging(job.request)).values():
            reason = why_not(path)
            if reason is not None:
                return f"its checkpoint: {path} {reason}"
            if not self._is_settled(path):
                return f"its checkpoint: {path} is still being written to"
        return None

    def _is_settled(self, path: Path) -> bool:
        seen, now = signature(path), time.monotonic()
        newest = max((mtime for _, _, mtime in seen), default=0) / 1e9
        if time.time() - newest > OLD_SECONDS:
            return True
        before = self._looks.get(path)
        if before is None or before.seen != seen:
            self._looks[path] = _Look(seen, now)
            return False
        return now - before.since >= SETTLED_SECONDS


def why_doomed(job: Job) -> str | None:
    """Why a job whose time to wait is up cannot evaluate; None if its checkpoints are there."""
    if job.request.wait_for_path_s is None:
        return None
    for path in local_checkpoints(before_merging(job.request)).values():
        reason = why_not(path)
        if reason is not None:
            waited = f"{job.request.wait_for_path_s:g} s after the submission"
            return f"The checkpoint {path} {reason}, {waited}"
    return None
