"""Series whose newest step goes first: which of their jobs stands at which of their places.

A job has its place in the queue from its submission. Among jobs that are alike for placement, which
job starts at a place of the series is no matter to others: the places of the series stay, and its
jobs take them in the order of their steps. When one starts at a place that another has, the two
exchange their places (``exchange_places`` of the store).
"""

from bisect import bisect_left, insort
from collections import defaultdict
from typing import NamedTuple

from evalserver.core.job import QueuedJob


class _Alike(NamedTuple):
    """What jobs that take the places of each other have in common."""

    series: str
    priority: int
    executor: str
    submitted_by: str
    num_gpus: int
    waits_for_checkpoint: bool


class NewestFirst:
    """The queued jobs of such series. Finding a job or a place costs O(log n) of its series."""

    def __init__(self) -> None:
        self._groups: dict[_Alike, _Group] = defaultdict(_Group)
        self._jobs: dict[str, QueuedJob] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: QueuedJob) -> None:
        """Add a job, unless it is of another kind of series or of none."""
        if job.newest_first is not None:
            self._jobs[job.job_id] = job
            self._groups[_alike(job)].add(job)

    def remove(self, job_id: str) -> None:
        """Remove a job, if it is there."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return
        alike = _alike(job)
        self._groups[alike].remove(job)
        if not self._groups[alike].places:
            del self._groups[alike]

    def at_place_of(self, job_id: str) -> str:
        """Return which job stands at the place that a job has: itself, or a newer or older one."""
        job = self._jobs.get(job_id)
        return job_id if job is None else self._groups[_alike(job)].at_place_of(job)

    def place_of(self, job_id: str) -> str:
        """Return whose place it is at which a job stands."""
        job = self._jobs.get(job_id)
        return job_id if job is None else self._groups[_alike(job)].place_of(job)


class _Group:
    """Alike jobs of one series, by place and by step. Both lists are sorted."""

    def __init__(self) -> None:
        self.places: list[tuple[int, str]] = []
        self._steps: list[tuple[int, int, str]] = []

    def add(self, job: QueuedJob) -> None:
        insort(self.places, _by_place(job))
        insort(self._steps, _by_step(job))

    def remove(self, job: QueuedJob) -> None:
        del self.places[bisect_left(self.places, _by_place(job))]
        del self._steps[bisect_left(self._steps, _by_step(job))]

    def at_place_of(self, job: QueuedJob) -> str:
        return self._steps[bisect_left(self.places, _by_place(job))][-1]

    def place_of(self, job: QueuedJob) -> str:
        return self.places[bisect_left(self._steps, _by_step(job))][-1]


def _alike(job: QueuedJob) -> _Alike:
    series = "" if job.newest_first is None else job.newest_first.series
    demand = job.demand
    return _Alike(
        series,
        job.priority,
        job.executor,
        job.submitted_by,
        demand.num_gpus,
        demand.waits_for_checkpoint,
    )


def _by_place(job: QueuedJob) -> tuple[int, str]:
    return job.place, job.job_id


def _by_step(job: QueuedJob) -> tuple[int, int, str]:
    """The newest first; of several of one step, the one whose own place is the first."""
    step = 0 if job.newest_first is None else job.newest_first.step
    return -step, job.place, job.job_id
