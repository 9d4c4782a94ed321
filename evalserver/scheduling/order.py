"""Which queued job starts next. Pure: no I/O, no clock.

Within a lane nobody overtakes the first job that lacks only a place, unless backfill is on: then a
later job may start on GPUs that this first job does not need at its reserved start, or with a time
limit that ends before that. Skipped are jobs that only their submitter's limit blocks, that need
more GPUs than there are in service, or that wait for a checkpoint.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from evalserver.core.job import QueuedJob, Slot
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Blocked, Inventory, RunningJob, place

MAX_CANDIDATES = 50
"""Jobs behind the first one that are considered for backfill, ..."""
MAX_EXAMINED = 1000
"""... and jobs that are examined for a place: one decision must not block the event loop."""
MIN_PREPARATION_SECONDS = 30.0
"""How long a job must have at least from its claim until its harness must start."""
MAX_OVER = 10
"""The overtaken jobs that an event names; it has the number of all."""

WHY_SKIPPED = {
    Blocked.TOKEN_LIMIT: "their submitters are at --max-running-per-token",
    Blocked.TOO_LARGE: "they need more GPUs than the server manages",
    Blocked.QUARANTINE: "they need more GPUs than are in service, without those in quarantine",
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


def is_skipped(job: QueuedJob, inventory: Inventory) -> bool:
    """Return whether those behind a job go first."""
    return place(job, inventory) in WHY_SKIPPED


def choose(
    jobs: Iterable[QueuedJob], inventory: Inventory, may_start: Callable[[QueuedJob], bool]
) -> Start | Head | None:
    """Return which of the jobs of a lane, which are in order, starts now; or the one that all
    others wait for; or None if there is none."""
    jobs = iter(jobs)
    for job in filter(may_start, jobs):
        found = place(job, inventory)
        if isinstance(found, Slot):
            return Start(job, found)
        if found is Blocked.NO_PLACE:
            return Head(job, filter(may_start, islice(jobs, MAX_EXAMINED)))
    return None


def with_overtaken(start: Start, queue: QueueIndex, inventory: Inventory) -> Start:
    """Return the start with the jobs that it overtakes, and why."""
    groups = queue.groups_ahead(start.job)
    if not groups:
        return start
    found = [place(group.first, inventory) for group in groups]
    skipped = dict.fromkeys(
        WHY_SKIPPED[each] for each in found if isinstance(each, Blocked) and each in WHY_SKIPPED
    )
    why = [*([start.slot.why] if start.slot.why else []), *skipped]
    slot = replace(
        start.slot,
        over=tuple(job.job_id for job in islice(queue.ahead(start.job), MAX_OVER)),
        over_count=sum(group.size for group in groups),
        why="; ".join(why) or None,
    )
    return Start(start.job, slot)


def backfill(
    head: QueuedJob,
    candidates: Sequence[QueuedJob],
    inventory: Inventory,
    now: float,
    end_s: float,
    expected_s: Mapping[str, float],
) -> Start | None:
    """Return a candidate, a job behind the first one of a lane, that may start without delaying it.

    ``now`` is a POSIX time; ``end_s`` as of ``ends_by``. Of several jobs, the one with the shortest
    expected duration starts; ``expected_s`` has those that are known, by job id.
    """
    reserved = find_reservation(head, inventory, now)
    if reserved is None:
        return None
    slots = [
        (job, slot)
        for job in candidates
        if (slot := _slot_beside(head, job, reserved, inventory, now, end_s)) is not None
    ]
    if not slots:
        return None
    job, slot = min(slots, key=lambda found: expected_s.get(found[0].job_id, float("inf")))
    at = datetime.fromtimestamp(reserved.at, UTC).isoformat(timespec="seconds")
    why = f"backfill: job {head.job_id} can start at {at} at the latest"
    return Start(job, replace(slot, why=why))


def find_reservation(job: QueuedJob, inventory: Inventory, now: float) -> Reservation | None:
    """Return the reservation of a job that has too few free GPUs.

    None if that time is unknown: the end of too few of the running jobs is known, one is beyond
    its own, or a GPU cannot be used now and may come back at any time.
    """
    if set(inventory.unavailable) - inventory.quarantined:
        return None
    ends = sorted(
        (held.ends_by, gpu)
        for gpu, held in inventory.holders.items()
        if held.ends_by is not None and gpu in inventory.in_service
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


def ends_by(started_at: float, timeout_s: float | None, end_s: float) -> float | None:
    """Return when an evaluation that was started then will have ended; None without a time limit.

    ``end_s`` is how long its end and what follows may take: the grace for SIGTERM, and recording.
    """
    return None if timeout_s is None else started_at + timeout_s + end_s


def _slot_beside(
    head: QueuedJob,
    job: QueuedJob,
    reserved: Reservation,
    inventory: Inventory,
    now: float,
    end_s: float,
) -> Slot | None:
    """Return where the job does not delay the first one, if there is such a place."""
    if not _keeps_token_limit(head, job, inventory):
        return None
    number = job.demand.num_gpus
    if number <= len(reserved.spare) and _keeps_limit(head, job, inventory):
        return Slot(reserved.spare[:number])
    end = ends_by(now, job.demand.timeout_s, end_s)
    if end is None or number > len(inventory.free):
        return None
    start_by = now + reserved.at - end
    if start_by < now + MIN_PREPARATION_SECONDS:
        return None
    others = (gpu for gpu in inventory.free if gpu not in reserved.spare)
    return Slot((*reserved.spare, *others)[:number], start_by=start_by)


def _beside(job: QueuedJob, inventory: Inventory) -> Inventory:
    other = RunningJob(job.job_id, job.submitted_by, job.demand.num_gpus, ())
    return replace(inventory, running=(*inventory.running, other))


def _keeps_limit(head: QueuedJob, job: QueuedJob, inventory: Inventory) -> bool:
    """Return whether the first job has room in its lane also while the other one runs."""
    lane = inventory.limits.lane_of(head.demand.num_gpus)
    return not _beside(job, inventory).is_at_limit(lane)


def _keeps_token_limit(head: QueuedJob, job: QueuedJob, inventory: Inventory) -> bool:
    """Return whether the first job's submitter is within its limit while the other one runs: at
    its limit, the first job would be skipped, and so lose its reservation."""
    lane = inventory.limits.lane_of(head.demand.num_gpus)
    return not _beside(job, inventory).is_at_token_limit(lane, head.submitted_by)
