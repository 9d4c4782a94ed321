"""Queued jobs that wait for a checkpoint which a trainer is still writing."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from pathlib import Path

import structlog

from evalserver.checkpoints.merging import before_merging
from evalserver.checkpoints.readiness import Signature, local_checkpoints, signature, why_not
from evalserver.core.clock import Clock
from evalserver.core.job import Job
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.checkpoints.waits")

SETTLED_SECONDS = 3.0
"""A checkpoint that was not written to for so long is complete."""
OLD_SECONDS = 60.0
"""One whose files are all older than that was complete when it was first looked at."""


LOOK_SECONDS = 1.0
"""Between two looks for the checkpoints of one job."""

BEING_LOOKED_AT = "its checkpoint, which is being looked at"


@dataclass(frozen=True)
class _Seen:
    """What was seen of a checkpoint, and since when it has looked like that."""

    signature: Signature
    since: float


class PathWaits:
    """Looks for the checkpoints that queued jobs with ``wait_for_path_s`` wait for.

    A look is a task of its own: a disk that does not answer holds up nothing but that job.
    ``on_ready`` is called when a job's turn may have come. ``close`` it.
    """

    def __init__(self, clock: Clock, threads: DiskThreads, on_ready: Callable[[], None]) -> None:
        self._clock = clock
        self._threads = threads
        self._on_ready = on_ready
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._looked_at: dict[str, float] = {}
        self._seen: dict[Path, _Seen] = {}
        self._ready: set[str] = set()
        self.reasons: dict[str, str] = {}
        """What each job waits for that was not found ready when it was last looked at."""

    def may_start(self, job: Job) -> bool:
        """May the job start? When it waits for nothing, its checkpoints were found ready, or its
        time is up."""
        return job.job_id in self._ready or self._is_over(job)

    def look(self, job: Job) -> None:
        """Begin to look for the job's checkpoints, if it is time to."""
        job_id, now = job.job_id, time.monotonic()
        if job_id in self._looks or now - self._looked_at.get(job_id, -inf) < LOOK_SECONDS:
            return
        if self._is_over(job):
            self._on_ready()
            return
        if job_id not in self._ready:
            self.reasons.setdefault(job_id, BEING_LOOKED_AT)
        self._looks[job_id] = asyncio.create_task(self._look(job), name="look for a checkpoint")

    def forget(self, job_id: str) -> None:
        """The job waits no more."""
        look = self._looks.pop(job_id, None)
        if look is not None:
            look.cancel()
        self._looked_at.pop(job_id, None)
        self.reasons.pop(job_id, None)
        self._ready.discard(job_id)
        if not self._looked_at and not self._looks:
            self._seen.clear()

    async def close(self) -> None:
        """End every look."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    def _is_over(self, job: Job) -> bool:
        seconds = job.request.wait_for_path_s
        if seconds is None:
            return True
        return self._clock() >= datetime.fromisoformat(job.created_at) + timedelta(seconds=seconds)

    async def _look(self, job: Job) -> None:
        job_id = job.job_id
        try:
            reason = await self._reason(job)
        except DiskTimeout as error:
            reason = f"its checkpoint; {error}"
        except Exception as error:  # it concerns this job alone
            log.exception("a checkpoint could not be looked at", job=job_id)
            reason = f"its checkpoint, which could not be looked at: {error!r}"
        self._looks.pop(job_id, None)
        self._looked_at[job_id] = time.monotonic()
        if reason is not None:
            self._ready.discard(job_id)
            self.reasons[job_id] = reason
            return
        self.reasons.pop(job_id, None)
        self._ready.add(job_id)
        self._on_ready()

    async def _reason(self, job: Job) -> str | None:
        """What the job waits for; None if all of its checkpoints are there."""
        for path, found in await self._threads.run(_look_at_all, job):
            if isinstance(found, str):
                return f"its checkpoint: {path} {found}"
            if not self._is_settled(path, found):
                return f"its checkpoint: {path} is still being written to"
        return None

    def _is_settled(self, path: Path, signature: Signature) -> bool:
        now = time.monotonic()
        if time.time() - signature.newest > OLD_SECONDS:
            return True
        before = self._seen.get(path)
        if before is None or before.signature != signature:
            self._seen[path] = _Seen(signature, now)
            return False
        return now - before.since >= SETTLED_SECONDS


def _look_at_all(job: Job) -> list[tuple[Path, Signature | str]]:
    """Each checkpoint of the job with its signature, or with why it cannot be loaded."""
    paths = local_checkpoints(before_merging(job.request)).values()
    return [(path, why_not(path) or signature(path)) for path in paths]


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
