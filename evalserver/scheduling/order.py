"""Which queued job starts next. Pure: no I/O, no clock.

Within a lane nobody overtakes the first job that lacks only a place, unless backfill is on: then a
later job may start on GPUs that this first job does not need at its reserved start, or with a time
limit that ends before that. Skipped are jobs that only their submitter's limit blocks, that need
more GPUs than there are, or that wait for a checkpoint.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from evalserver.core.job import QueuedJob, Slot
from evalserver.scheduling.slots import Blocked, Inventory, RunningJob, place

MAX_CANDIDATES = 50
"""Jobs behind the first one that are considered for backfill, ..."""
MAX_EXAMINED = 1000
"""... and jobs that are examined for a place: one decision must not block the event loop."""
END_SECONDS = 60.0
"""How long an evaluation may take to end and to be recorded after its time limit and the grace for
SIGTERM."""

WHY_SKIPPED = {
    Blocked.TOKEN_LIMIT: "their submitters are at --max-running-per-token",
    Blocked.TOO_LARGE: "they need more GPUs than the server manages",
}


@dataclass(frozen=True)
class Start:
    """The job that starts next, and where."""

    job: QueuedJob
    slot: Slot


@dataclass(frozen=True)
class Reservation:
    """When the first job can start at the latest, as POSIX time, and the free GPUs that it does not
    need then."""

    at: float
    spare: tuple[str, ...]


@dataclass(frozen=True)
class Head:
    """The first job of a lane that has no place yet, and those behind it that may start."""

    job: QueuedJob
    behind: Iterator[QueuedJob]

    def candidates(self, inventory: Inventory) -> tuple[QueuedJob, ...]:
        """Return the jobs behind it that have a place now. To be called once."""
        placed = (job for job in self.behind if isinstance(place(job, inventory), Slot))
        return tuple(islice(placed, MAX_CANDIDATES))


def choose(
    jobs: Iterable[QueuedJob], inventory: Inventory, may_start: Callable[[QueuedJob], bool]
) -> Start | Head | None:
    """Return which of the jobs of a lane, which are in order, starts now; or the one that all
    others wait for; or None if there is none."""
    ready = filter(may_start, jobs)
    skipped: dict[str, Blocked] = {}
    for job in ready:
        found = place(job, inventory)
        if isinstance(found, Slot):
            return Start(job, _over(found, skipped))
        if found is Blocked.NO_PLACE:
            return Head(job, islice(ready, MAX_EXAMINED))
        skipped[job.job_id] = found
    return None


def backfill(
    head: QueuedJob,
    candidates: Sequence[QueuedJob],
    inventory: Inventory,
    now: float,
    grace_s: float,
    expected_s: Mapping[str, float],
) -> Start | None:
    """Return a candidate, a job behind the first one of a lane, that may start without delaying it.

    ``now`` is a POSIX time, ``grace_s`` the grace after a time limit. Of several jobs, the one with
    the shortest expected duration starts; ``expected_s`` has those that are known, by job id.
    """
    reserved = reserve(head, inventory, now)
    if reserved is None:
        return None
    starts = [
        (job, gpus)
        for job in candidates
        if (gpus := _gpus_beside(head, job, reserved, inventory, now, grace_s)) is not None
    ]
    if not starts:
        return None
    job, gpus = min(starts, key=lambda start: expected_s.get(start[0].job_id, float("inf")))
    at = datetime.fromtimestamp(reserved.at, UTC).isoformat(timespec="seconds")
    return Start(
        job,
        Slot(gpus, (head.job_id,), f"backfill: the start of the job ahead is reserved for {at}"),
    )


def reserve(job: QueuedJob, inventory: Inventory, now: float) -> Reservation | None:
    """Return the reservation of a job that has too few free GPUs.

    None if that time is unknown: too few of the running jobs have a time limit, one is beyond its
    own, or a GPU cannot be used now and may come back at any time.
    """
    if inventory.unavailable:
        return None
    ends = sorted(
        (held.ends_by, gpu)
        for gpu, held in inventory.holders.items()
        if held.ends_by is not None and gpu in inventory.limits.gpus
    )
    if ends and ends[0][0] <= now:
        return None
    missing = job.demand.num_gpus - len(inventory.free)
    if not 0 < missing <= len(ends):
        return None
    at = ends[missing - 1][0]
    released = sum(1 for end, _ in ends if end <= at)
    needed = max(0, job.demand.num_gpus - released)
    return Reservation(at, inventory.free[needed:])


def ends_by(started_at: float, timeout_s: float | None, grace_s: float) -> float | None:
    """Return when a time limit will have ended an evaluation; None without one."""
    return None if timeout_s is None else started_at + timeout_s + grace_s + END_SECONDS


def _gpus_beside(
    head: QueuedJob,
    job: QueuedJob,
    reserved: Reservation,
    inventory: Inventory,
    now: float,
    grace_s: float,
) -> tuple[str, ...] | None:
    """Return GPUs on which the job does not delay the first one, if there are enough."""
    number = job.demand.num_gpus
    end = ends_by(now, job.demand.timeout_s, grace_s)
    if end is not None and end <= reserved.at:
        others = (gpu for gpu in inventory.free if gpu not in reserved.spare)
        gpus = (*reserved.spare, *others)[:number]
    elif _keeps_limits(head, job, inventory):
        gpus = reserved.spare[:number]
    else:
        return None
    return gpus if len(gpus) == number else None


def _keeps_limits(head: QueuedJob, job: QueuedJob, inventory: Inventory) -> bool:
    """Return whether the first job is within its limits also while the other one runs."""
    other = RunningJob(job.job_id, job.submitted_by, job.demand.num_gpus, ())
    beside = replace(inventory, running=(*inventory.running, other))
    lane = inventory.limits.lane_of(head.demand.num_gpus)
    return not (beside.is_at_limit(lane) or beside.is_at_token_limit(head.submitted_by))


def _over(slot: Slot, skipped: Mapping[str, Blocked]) -> Slot:
    reasons = dict.fromkeys(WHY_SKIPPED[each] for each in skipped.values())
    return replace(slot, over=tuple(skipped), why="; ".join(reasons) or None)
