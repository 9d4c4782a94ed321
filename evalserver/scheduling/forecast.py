"""Forecasts for jobs that have not ended: what they wait for, and when they will have ended.

The estimate assumes that the jobs before it in its lane start in the order of the queue, each with
its expected duration (``medians``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Demand, Job, QueuedJob
from evalserver.core.lifecycle import Status
from evalserver.core.wording import count_of_jobs
from evalserver.scheduling.cluster_wait import cluster_wait_reason
from evalserver.scheduling.queue_estimate import ExpectedJob, seconds_until_last_ends
from evalserver.scheduling.scheduler import Scheduler
from evalserver.scheduling.slots import Blocked, Inventory, Lane, RunningJob, place
from evalserver.store import Known, Store, kind_of

MAX_JOBS_BEFORE = 50
"""With more jobs before it in its lane, a job gets no estimate: it would be a guess."""
MAX_NAMED_GPUS = 8
"""GPUs that a reason names."""
OF_LANE = {Lane.ALL: "", Lane.WITH_GPU: " with GPUs", Lane.WITHOUT_GPU: " without GPUs"}
"""The jobs that a queued one waits for are those of its lane."""


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
        self._medians = scheduler.medians
        self._clock = clock

    async def of(self, job: Job, position: int | None) -> Forecast:
        """Return the forecast for a job with this position in the queue (None: not queued)."""
        if job.status is Status.QUEUED and position is not None:
            reason = self._pause_reason(job)
            if reason is not None:
                return Forecast(reason)
            before = self._scheduler.queue.position_in_lane(job.job_id) or 0
            hand_over = self._scheduler.hand_overs.get(job.executor)
            if hand_over is not None:
                return Forecast(cluster_wait_reason(job, hand_over, before))
            eta_s = await self._until_queued_ends(job, before)
            return Forecast(await self._waiting_for(job, before), _rounded(eta_s))
        if job.status is Status.RUNNING:
            eta_s = await self._until_running_ends(
                Known(kind_of(job.engine, job.request), job.started_at)
            )
            return Forecast(None, _rounded(eta_s))
        return Forecast()

    def _pause_reason(self, job: Job) -> str | None:
        """Return what a queued job waits for, apart from slots and the jobs before it."""
        draining = self._scheduler.draining
        if draining is None:
            return self._scheduler.checkpoint_wait(job.job_id)
        why = "" if draining.reason is None else f": {draining.reason}"
        return f"an administrator to resume the queue: the server was drained by {draining.by}{why}"

    async def _waiting_for(self, job: Job, before: int) -> str:
        if self._store.fault is not None:
            return f"the server to be able to write again: {self._store.fault}"
        if self._scheduler.holding:
            return "the next start of the server: it is shutting down, and starts nothing more"
        reasons = [reason] if (reason := await self._blocked_reason(job)) else []
        if before > 0:
            lane = self._scheduler.inventory.limits.lane_of(job.request.num_gpus)
            reasons.append(f"{count_of_jobs(before)}{OF_LANE[lane]} before it in the queue")
        return ", and ".join(reasons) or "its start, which comes next"

    async def _blocked_reason(self, job: Job) -> str | None:
        """Return why the job could not start now if it was the first one."""
        inventory, number = self._scheduler.inventory, job.request.num_gpus
        limits = inventory.limits
        blocked = place(_as_queued(job), inventory)
        if blocked is Blocked.TOO_LARGE:
            return (
                f"a server with more GPUs: it needs {number}, and this one manages"
                f" {len(limits.gpus)}"
            )
        lane = limits.lane_of(number)
        if blocked is Blocked.TOKEN_LIMIT:
            return (
                f"{job.submitted_by} to have fewer than {limits.max_running_per_token} running"
                f" evaluations{OF_LANE[lane]} (--max-running-per-token)"
            )
        if blocked is Blocked.QUARANTINE:
            return self._quarantine_reason(number, inventory)
        running = _others_in_lane(job, inventory)
        most = limits.max_in(lane)
        if lane is Lane.WITH_GPU and (most is None or len(running) < most):
            return await self._missing_gpus(number) if blocked is Blocked.NO_PLACE else None
        return running_text([each.job_id for each in running]) if running else None

    def _quarantine_reason(self, number: int, inventory: Inventory) -> str:
        needs, in_service = f"it needs {number} GPU{_s(number)}", len(inventory.in_service)
        names = ", ".join(
            self._scheduler.placement.gpu_name(gpu)
            for gpu in inventory.limits.gpus
            if gpu in inventory.quarantined
        )
        count = len(inventory.limits.gpus) - in_service
        return (
            f"{needs}; {in_service} {_is(in_service)} in service, GPU{_s(count)} {names}"
            f" {_is(count)} quarantined"
        )

    async def _missing_gpus(self, number: int) -> str:
        """Return which GPUs are free, and what keeps the others."""
        inventory = self._scheduler.inventory
        needs = f"it needs {number} GPU{_s(number)}; {len(inventory.free)} free"
        taken = [gpu for gpu in inventory.limits.gpus if gpu not in inventory.free]
        parts = [await self._taken(gpu, inventory) for gpu in taken[:MAX_NAMED_GPUS]]
        if len(taken) > MAX_NAMED_GPUS:
            parts.append(f"and {len(taken) - MAX_NAMED_GPUS} more")
        return ", ".join([needs, *parts])

    async def _taken(self, gpu: str, inventory: Inventory) -> str:
        name = f"GPU {self._scheduler.placement.gpu_name(gpu)}"
        holder = inventory.holders.get(gpu)
        if holder is None:
            return f"{name} {inventory.unavailable.get(gpu, 'is quarantined')}"
        rest = await self._until_running_ends_of(holder)
        until = ""
        if rest is not None:
            end = self._clock() + timedelta(seconds=rest)
            until = f" until about {end.astimezone():%H:%M}"
        return f"{name}{until} (job {holder.job_id})"

    async def _until_queued_ends(self, job: Job, before: int) -> float | None:
        if before > MAX_JOBS_BEFORE:
            return None
        own = await self._medians.of_kind(kind_of(job.engine, job.request))
        if own is None:
            return None
        inventory = self._scheduler.inventory
        limits = inventory.limits
        lane = limits.lane_of(job.request.num_gpus)
        ahead = [
            each
            for each in islice(self._scheduler.queue.in_lane(lane), before)
            if place(each, inventory) not in (Blocked.TOO_LARGE, Blocked.QUARANTINE)
        ]
        durations = await self._medians.of_jobs([each.job_id for each in ahead])
        running = _others_in_lane(job, inventory)
        rests = [await self._until_running_ends_of(each) for each in running]
        if len(durations) < len(ahead):
            return None
        occupied = [
            ExpectedJob(_gpus_of(each, lane), rest)
            for each, rest in zip(running, rests, strict=True)
            if rest is not None
        ]
        if len(occupied) < len(running):
            return None
        queued = [
            *(ExpectedJob(each.demand.num_gpus, durations[each.job_id]) for each in ahead),
            ExpectedJob(job.request.num_gpus, own),
        ]
        usable = len({*limits.gpus} - {*inventory.unavailable} - inventory.quarantined)
        return seconds_until_last_ends(
            queued, occupied, limits.max_in(lane), usable if lane is Lane.WITH_GPU else None
        )

    async def _until_running_ends_of(self, running: RunningJob) -> float | None:
        known = (await self._medians.known([running.job_id])).get(running.job_id)
        return None if known is None else await self._until_running_ends(known)

    async def _until_running_ends(self, job: Known) -> float | None:
        whole = await self._medians.of_kind(job.kind)
        if whole is None or job.started_at is None:
            return None
        elapsed = self._clock() - datetime.fromisoformat(job.started_at)
        return max(0.0, whole - elapsed.total_seconds())


def running_text(job_ids: Sequence[str]) -> str:
    """Return the running jobs that a queued one waits for, as part of a sentence."""
    if len(job_ids) == 1:
        return f"job {job_ids[0]}, which is running"
    return f"jobs {', '.join(job_ids)}, which are running"


def _others_in_lane(job: Job, inventory: Inventory) -> list[RunningJob]:
    """Return the running jobs of a job's lane, without the job, which may have started just now."""
    lane = inventory.limits.lane_of(job.request.num_gpus)
    return [each for each in inventory.running_in(lane) if each.job_id != job.job_id]


def _as_queued(job: Job) -> QueuedJob:
    demand = Demand.of(job.request)
    return QueuedJob(job.job_id, job.priority, job.seq, job.submitted_by, demand)


def _gpus_of(job: RunningJob, lane: Lane) -> int:
    return 0 if lane is not Lane.WITH_GPU else job.num_gpus


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
