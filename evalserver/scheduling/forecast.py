"""What a job that has not ended can expect: what it waits for, and how long it will take.

The basis is what the newest completed jobs of its kind took: the same engine, model, tasks, limit
and number of GPUs. Their median is remembered until a completed job comes or goes.
"""

from collections import Counter
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

MOST_BEFORE = 50
"""Jobs before one in the queue; beyond that, saying when it ends would be guessing."""
MOST_KINDS = 1000
MOST_JOBS = 1000


@dataclass(frozen=True)
class Forecast:
    """``waiting_for`` says in words why a queued job does not run yet, None when it is not queued.

    ``eta_s`` is the seconds until the job will have ended, None where there is no basis.
    """

    waiting_for: str | None = None
    eta_s: float | None = None


class Forecaster:
    """Makes forecasts from the queue, the running job, and what completed jobs took."""

    def __init__(self, store: Store, scheduler: Scheduler, clock: Clock = utc_now) -> None:
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._medians: dict[Kind, float | None] = {}
        self._jobs: dict[str, Known] = {}
        self._changes = 0
        store.subscribe(self._on_event)

    async def of(self, job: Job, position: int | None) -> Forecast:
        """The forecast for a job with this position in the queue (None: it is not queued)."""
        if job.status is Status.QUEUED and position is not None:
            held = self._held_back(job)
            if held is not None:
                return Forecast(held)
            eta_s = await self._until_queued_ends(job, position)
            return Forecast(self._waiting_for(job, position), _rounded(eta_s))
        if job.status is Status.RUNNING:
            eta_s = await self._until_running_ends(Known(_kind(job), job.started_at))
            return Forecast(None, _rounded(eta_s))
        return Forecast()

    def _held_back(self, job: Job) -> str | None:
        """What a queued job waits for beside those before it."""
        draining = self._scheduler.draining
        if draining is None:
            return self._scheduler.held_back_by(job.job_id)
        why = "" if draining.reason is None else f": {draining.reason}"
        return (
            "an administrator to resume the queue: the server is draining, since"
            f" {draining.since} by {draining.by}{why}"
        )

    def _running_before(self, job: Job) -> str | None:
        """The job that runs; not the queued one itself, which may have been started just now."""
        running = self._scheduler.running_job
        return None if running == job.job_id else running

    def _waiting_for(self, job: Job, position: int) -> str:
        if self._store.fault is not None:
            return f"the server to be able to write again: {self._store.fault}"
        if self._scheduler.holding:
            return "the next start of the server: it is shutting down, and starts nothing more"
        running = self._running_before(job)
        before = [] if running is None else [f"job {running}, which is running"]
        if position > 0:
            jobs = "1 job" if position == 1 else f"{position} jobs"
            before.append(f"{jobs} before it in the queue")
        return ", and ".join(before) or "its start, which comes next"

    async def _until_queued_ends(self, job: Job, position: int) -> float | None:
        own = _kind(job)
        if position > MOST_BEFORE or await self._median(own) is None:
            return None
        before = list(islice(self._scheduler.queue, position))
        running = self._running_before(job)
        known = await self._known([*before, running] if running else before)
        try:
            kinds = Counter([own, *(known[each].kind for each in before)])
            rest = await self._until_running_ends(known[running]) if running else 0.0
        except KeyError:
            return None  # one of them was pruned in between, or is damaged
        for kind, jobs in kinds.items():
            each = await self._median(kind)
            if each is None or rest is None:
                return None
            rest += jobs * each
        return rest

    async def _until_running_ends(self, job: Known) -> float | None:
        whole = await self._median(job.kind)
        if whole is None or job.started_at is None:
            return None
        elapsed = self._clock() - datetime.fromisoformat(job.started_at)
        return max(0.0, whole - elapsed.total_seconds())

    async def _median(self, kind: Kind) -> float | None:
        medians, changes = self._medians, self._changes
        if kind not in medians:
            seconds = await self._store.durations(kind)
            found = median(seconds) if seconds else None
            if self._changes != changes:
                return found  # of a moment that is past
            _make_room(medians, MOST_KINDS)
            medians[kind] = found
        return medians[kind]

    async def _known(self, job_ids: list[str]) -> dict[str, Known]:
        missing = [each for each in job_ids if each not in self._jobs]
        if not missing:
            return self._jobs
        changes = self._changes
        found = await self._store.known(missing)
        known = {**self._jobs, **found}
        if self._changes == changes:
            _make_room(self._jobs, MOST_JOBS)
            self._jobs.update(found)
        return known

    def _on_event(self, event: CommittedEvent) -> None:
        if event.kind is EventKind.SUBMITTED:
            return
        self._changes += 1
        self._jobs.pop(event.job_id, None)
        if Status.COMPLETED in (event.before, event.after):
            self._medians.clear()


def _kind(job: Job) -> Kind:
    return kind_of(job.engine, job.request)


def _make_room(remembered: dict[Any, Any], most: int) -> None:
    if len(remembered) >= most:
        remembered.clear()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
