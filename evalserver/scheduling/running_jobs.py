"""The running jobs and the GPUs that they hold, in memory; the store has the same in its tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from evalserver.core.job import Demand, Job
from evalserver.core.lifecycle import EventKind, Status
from evalserver.scheduling.order import ends_by
from evalserver.scheduling.slots import Inventory, Limits, RunningJob
from evalserver.store import CommittedEvent


class RunningJobs:
    """Follows which jobs run.

    ``gpu_ids`` has the id of each managed GPU by every name that an older record may have for it;
    ``grace_s`` is the grace after a time limit.
    """

    def __init__(self, limits: Limits, grace_s: float, gpu_ids: Mapping[str, str]) -> None:
        self._limits = limits
        self._grace_s = grace_s
        self._gpu_ids = gpu_ids
        self._jobs: dict[str, RunningJob] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The running jobs, in the order in which they started."""
        return tuple(self._jobs)

    def inventory(self, unavailable: Mapping[str, str]) -> Inventory:
        """Return what is there now, but for these GPUs."""
        return Inventory(self._limits, tuple(self._jobs.values()), unavailable)

    def load(self, job: Job) -> None:
        """Add a job that was running when the server last ended."""
        demand, started_at = Demand.of(job.request), job.started_at or job.created_at
        self._add(job.job_id, job.submitted_by, demand, job.gpus, started_at)

    def on_event(self, event: CommittedEvent) -> None:
        """Follow a change of a job."""
        if event.kind is EventKind.CLAIMED:
            started_at = event.started_at or event.created_at
            self._add(event.job_id, event.submitted_by, event.demand, event.gpus, started_at)
        elif event.before is Status.RUNNING and event.after is not Status.RUNNING:
            self._jobs.pop(event.job_id, None)

    def _add(
        self,
        job_id: str,
        submitted_by: str,
        demand: Demand,
        gpus: Sequence[str] | None,
        started_at: str,
    ) -> None:
        began = datetime.fromisoformat(started_at).timestamp()
        end = ends_by(began, demand.timeout_s, self._grace_s)
        held = None if gpus is None else self._managed(gpus)
        self._jobs[job_id] = RunningJob(job_id, submitted_by, demand.num_gpus, held, end)

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
