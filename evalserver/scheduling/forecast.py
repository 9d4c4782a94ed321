"""Forecasts for jobs that have not ended: what they wait for, and when they will have ended.

The estimate is the median duration of the newest completed jobs of the same kind: engine, model,
tasks, limit and number of GPUs. It is cached until a completed job is added or removed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from statistics import median
from typing import Any

from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Job
from evalserver.core.lifecycle import EventKind, Status
from evalserver.scheduling.scheduler import Scheduler
from evalserver.store import CommittedEvent, Kind, Known, Store, kind_of

MAX_JOBS_BEFORE = 50
"""With more jobs before it in the queue, a job gets no estimate: it would be a guess."""
MAX_KINDS = 1000
MAX_KNOWN_JOBS = 1000


@dataclass(frozen=True)
class Forecast:
    """``waiting_for`` says why a queued job does not run yet; None if it is not queued.

    ``eta_s`` is the number of seconds until the job will have ended; None if it is unknown.
    """

    waiting_for: str | None = None
    eta_s: float | None = None


class Forecaster:
    """Makes forecasts from the queue, the running jobs, and the durations of completed jobs."""

    def __init__(self, store: Store, scheduler: Scheduler, clock: Clock = utc_now) -> None:
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._medians: dict[Kind, float | None] = {}
        self._jobs: dict[str, Known] = {}
        self._changes = 0
        store.subscribe(self._on_event)

    async def of(self, job: Job, position: int | None) -> Forecast:
        """Return the forecast for a job with this position in the queue (None: not queued)."""
        if job.status is Status.QUEUED and position is not None:
            reason = self._pause_reason(job)
            if reason is not None:
                return Forecast(reason)
            eta_s = await self._until_queued_ends(job, position)
            return Forecast(self._waiting_for(job, position), _rounded(eta_s))
        if job.status is Status.RUNNING:
            eta_s = await self._until_running_ends(Known(_kind(job), job.started_at))
            return Forecast(None, _rounded(eta_s))
        return Forecast()

    def _pause_reason(self, job: Job) -> str | None:
        """Return what a queued job waits for, apart from the jobs before it."""
        draining = self._scheduler.draining
        if draining is None:
            return self._scheduler.checkpoint_wait(job.job_id)
        why = "" if draining.reason is None else f": {draining.reason}"
        return (
            "an administrator to resume the queue: the server is draining, since"
            f" {draining.since} by {draining.by}{why}"
        )

    def _running_before(self, job: Job) -> list[str]:
        """Return the running jobs without the queued one, which may have started just now."""
        return [each for each in self._scheduler.running if each != job.job_id]

    def _waiting_for(self, job: Job, position: int) -> str:
        if self._store.fault is not None:
            return f"the server to be able to write again: {self._store.fault}"
        if self._scheduler.holding:
            return "the next start of the server: it is shutting down, and starts nothing more"
        running = self._running_before(job)
        before = [running_text(running)] if running else []
        if position > 0:
            jobs = "1 job" if position == 1 else f"{position} jobs"
            before.append(f"{jobs} before it in the queue")
        return ", and ".join(before) or "its start, which comes next"

    async def _until_queued_ends(self, job: Job, position: int) -> float | None:
        own = _kind(job)
        if position > MAX_JOBS_BEFORE or await self._median(own) is None:
            return None
        before = list(islice(self._scheduler.queue, position))
        running = self._running_before(job)
        known = await self._known([*before, *running])
        try:
            kinds = Counter([own, *(known[each].kind for each in before)])
            rests = [await self._until_running_ends(known[each]) for each in running]
        except KeyError:
            return None  # one of them was pruned in between, or is damaged
        total = 0.0
        for rest in rests:
            if rest is None:
                return None
            total = max(total, rest)
        for kind, jobs in kinds.items():
            median_s = await self._median(kind)
            if median_s is None:
                return None
            total += jobs * median_s
        return total

    async def _until_running_ends(self, job: Known) -> float | None:
        whole = await self._median(job.kind)
        if whole is None or job.started_at is None:
            return None
        elapsed = self._clock() - datetime.fromisoformat(job.started_at)
        return max(0.0, whole - elapsed.total_seconds())

    async def _median(self, kind: Kind) -> float | None:
        medians, changes = self._medians, self._changes
        if kind not in medians:
            seconds = await self._store.durations.of_kind(kind)
            found = median(seconds) if seconds else None
            if self._changes != changes:
                return found  # it is outdated already
            _clear_if_full(medians, MAX_KINDS)
            medians[kind] = found
        return medians[kind]

    async def _known(self, job_ids: list[str]) -> dict[str, Known]:
        missing = [each for each in job_ids if each not in self._jobs]
        if not missing:
            return self._jobs
        changes = self._changes
        found = await self._store.durations.known(missing)
        known = {**self._jobs, **found}
        if self._changes == changes:
            _clear_if_full(self._jobs, MAX_KNOWN_JOBS)
            self._jobs.update(found)
        return known

    def _on_event(self, event: CommittedEvent) -> None:
        if event.kind is EventKind.SUBMITTED:
            return
        self._changes += 1
        self._jobs.pop(event.job_id, None)
        if Status.COMPLETED in (event.before, event.after):
            self._medians.clear()


def running_text(job_ids: Sequence[str]) -> str:
    """Return the running jobs that a queued one waits for, as part of a sentence."""
    if len(job_ids) == 1:
        return f"job {job_ids[0]}, which is running"
    return f"jobs {', '.join(job_ids)}, which are running"


def _kind(job: Job) -> Kind:
    return kind_of(job.engine, job.request)


def _clear_if_full(cache: dict[Any, Any], max_entries: int) -> None:
    if len(cache) >= max_entries:
        cache.clear()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
