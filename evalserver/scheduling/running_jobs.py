"""The running jobs and the GPUs that they hold, in memory; the store has the same in its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evalserver.core.job import Demand, Job
from evalserver.core.lifecycle import EventKind, Status
from evalserver.scheduling.order import ends_by
from evalserver.scheduling.slots import Inventory, Limits, RunningJob
from evalserver.store import CommittedEvent


@dataclass(frozen=True)
class _Running:
    job: RunningJob
    timeout_s: float | None


class RunningJobs:
    """Follows which jobs run.

    ``gpu_ids`` has the id of each managed GPU by every name that an older record may have for it;
    ``end_s`` is as of ``ends_by``.
    """

    def __init__(self, limits: Limits, end_s: float, gpu_ids: Mapping[str, str]) -> None:
        self._limits = limits
        self._end_s = end_s
        self._gpu_ids = gpu_ids
        self._running: dict[str, _Running] = {}
        self._inventory: Inventory | None = None
        """As of the last change of a running job: many requests ask for it between two."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The running jobs, in the order in which they started."""
        return tuple(self._running)

    def inventory(
        self, unavailable: Mapping[str, str], quarantined: frozenset[str] = frozenset()
    ) -> Inventory:
        """Return what is there now, but for these GPUs."""
        known = self._inventory
        if known is None or (known.unavailable, known.quarantined) != (unavailable, quarantined):
            jobs = tuple(each.job for each in self._running.values())
            known = self._inventory = Inventory(self._limits, jobs, unavailable, quarantined)
        return known

    def load(self, job: Job, start_by: float | None) -> None:
        """Add a job that was running when the server last ended."""
        self._add(job.job_id, job.submitted_by, Demand.of(job.request), job.gpus, start_by)

    def on_event(self, event: CommittedEvent) -> None:
        """Follow a change of a job."""
        if event.kind is EventKind.CLAIMED:
            self._add(event.job_id, event.submitted_by, event.demand, event.gpus, event.start_by)
        elif event.before is Status.RUNNING and event.after is not Status.RUNNING:
            self._running.pop(event.job_id, None)
            self._inventory = None

    def on_start(self, job_id: str, now: float) -> None:
        """Note that the time limit of a running job counts from now on, a POSIX time, or from a
        time before.
        """
        running = self._running.get(job_id)
        if running is not None:
            end = ends_by(now, running.timeout_s, self._end_s)
            self._running[job_id] = replace(running, job=replace(running.job, ends_by=end))
            self._inventory = None

    def _add(
        self,
        job_id: str,
        submitted_by: str,
        demand: Demand,
        gpus: Sequence[str] | None,
        start_by: float | None,
    ) -> None:
        # Preparing an attempt takes any time: unless it must start in time, its end is unknown.
        end = None if start_by is None else ends_by(start_by, demand.timeout_s, self._end_s)
        held = None if gpus is None else self._managed(gpus)
        job = RunningJob(job_id, submitted_by, demand.num_gpus, held, end)
        self._running[job_id] = _Running(job, demand.timeout_s)
        self._inventory = None

    def _managed(self, gpus: Sequence[str]) -> tuple[str, ...] | None:
        """Return the GPUs of a record by their ids now.

        None (it may use any) if the record names one in a way that says nothing about which of the
        managed ones it is: an index where they have UUIDs, or the reverse.
        """
        ids = self._gpu_ids
        named_alike = {name.isdigit() for name in ids}
        if ids and any(each not in ids and each.isdigit() not in named_alike for each in gpus):
            return None
        return tuple(ids.get(each, each) for each in gpus)
