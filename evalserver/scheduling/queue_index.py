"""The order of the queue, in memory: which jobs are next, and what position a job has.

An index of what the database contains, rebuilt at every start. Order: first what waits on a
cluster, as it was handed over, since the cluster decides there; then by priority and place.
Jobs of a series whose newest step goes first take the places of the series in the order of their
steps. Jobs that are alike for placement (lane, submitter, number of GPUs) are a group: whether one
of them can start is asked once for all, so that a search costs as much as there are groups, not
jobs.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import chain, islice, takewhile
from typing import NamedTuple

from evalserver.core.job import QueuedJob
from evalserver.scheduling.newest_first import NewestFirst
from evalserver.scheduling.slots import Lane

MAX_WAITING = 1000
"""Jobs of a group whose checkpoints are looked for."""

QueueLane = Lane | str
"""A lane of the server's own machine, or the name of a cluster."""

_Key = tuple[int, int, str]
"""A place in the queue: negated priority, place, and the job that has it. Sorted in the order of
the queue."""


class _Group(NamedTuple):
    submitted_by: str
    num_gpus: int
    waits_for_checkpoint: bool


class GroupAhead(NamedTuple):
    """Jobs of one group that are ahead of some job: the first one, and how many there are."""

    first: QueuedJob
    size: int


class QueueIndex:
    """The queued jobs in order, all of them and those of each lane.

    Finding a position costs O(log n), in a lane O(log n) for each group.
    """

    def __init__(self, lane_of: Callable[[QueuedJob], QueueLane] = lambda _: Lane.ALL) -> None:
        self._lane_of = lane_of
        self._order = _Order()
        self._lanes: dict[QueueLane, dict[_Group, _Order]] = defaultdict(dict)
        self._jobs: dict[str, QueuedJob] = {}
        self._newest_first = NewestFirst()
        self._handed_over: dict[str, None] = {}
        self.version = 0
        """Grows with each change."""

    def __len__(self) -> int:
        return len(self._handed_over) + len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs or job_id in self._handed_over

    def __iter__(self) -> Iterator[str]:
        """Yield the jobs in order. The queue may change meanwhile: no job is yielded twice or
        missed because others come or go."""
        places = (job_id for *_, job_id in self._order)
        return chain(tuple(self._handed_over), map(self._newest_first.at_place_of, places))

    def job_ids(self, most: int | None = None) -> list[str]:
        """Return the jobs in order, or the first ``most`` of them."""
        handed_over = list(islice(self._handed_over, most))
        rest = None if most is None else most - len(handed_over)
        places = [job_id for *_, job_id in self._order.first_keys(rest)]
        if self._newest_first:
            places = [*map(self._newest_first.at_place_of, places)]
        return handed_over + places

    @property
    def lanes(self) -> tuple[QueueLane, ...]:
        """The lanes in which jobs are queued or have been."""
        return tuple(self._lanes)

    def is_empty(self, lane: QueueLane) -> bool:
        """Return whether no job of a lane is queued."""
        return not self._lanes[lane]

    def has_waiting(self, lane: QueueLane) -> bool:
        """Return whether a job of a lane was submitted to wait for a checkpoint."""
        return any(group.waits_for_checkpoint for group in self._lanes[lane])

    def in_lane(
        self, lane: QueueLane, is_skipped: Callable[[QueuedJob], bool] = lambda _: False
    ) -> Iterator[QueuedJob]:
        """Yield the jobs of a lane in order; the queue may change meanwhile.

        A group is left out if its first job is to be skipped. Of a group that waits for
        checkpoints, the first ``MAX_WAITING`` are yielded.
        """
        orders = [
            islice(order, MAX_WAITING) if group.waits_for_checkpoint else order
            for group, order in self._lanes[lane].items()
            if not is_skipped(self._first(order))
        ]
        for key in merge(*orders):
            job = self._jobs.get(key[2])
            if job is not None and _key(job) == key:
                yield self._jobs[self._newest_first.at_place_of(job.job_id)]

    def ahead(self, job: QueuedJob) -> Iterator[QueuedJob]:
        """Yield the jobs of a job's lane that are ahead of it in order, without those that wait for
        a checkpoint: they let others pass."""
        jobs = self.in_lane(self._lane_of(job), lambda each: each.demand.waits_for_checkpoint)
        place = self._place(job)
        return takewhile(lambda each: self._place(each) < place, jobs)

    def groups_ahead(self, job: QueuedJob) -> list[GroupAhead]:
        """Return the groups of the jobs that ``ahead`` yields."""
        groups = [
            GroupAhead(self._first(order), order.position(self._place(job)))
            for group, order in self._lanes[self._lane_of(job)].items()
            if not group.waits_for_checkpoint
        ]
        return [group for group in groups if group.size]

    def add(self, job: QueuedJob) -> None:
        """Add a job. A job that is queued with another priority is moved."""
        if job.job_id in self:
            if self._jobs.get(job.job_id) == job:
                return
            self.remove(job.job_id)
        self.version += 1
        key, lane = _key(job), self._lane_of(job)
        self._jobs[job.job_id] = job
        self._order.add(key)
        self._newest_first.add(job)
        groups, group = self._lanes[lane], _group(job, lane)
        if group not in groups:
            groups[group] = _Order()
        groups[group].add(key)

    def exchange_places(self, job_id: str, other_id: str) -> None:
        """Note that two queued jobs have exchanged their places, as one of them starts."""
        job, other = self._jobs.get(job_id), self._jobs.get(other_id)
        if job is not None and other is not None:
            self.add(other._replace(place=job.place))
            self.add(job._replace(place=other.place))

    def hand_over(self, job_id: str) -> None:
        """Note that a job waits on a cluster from now on."""
        if job_id not in self._handed_over:
            self.remove(job_id)
            self._handed_over[job_id] = None

    def remove(self, job_id: str) -> None:
        """Remove a job, if it is queued."""
        self.version += 1
        self._handed_over.pop(job_id, None)
        job = self._jobs.pop(job_id, None)
        if job is None:
            return
        self._order.remove(_key(job))
        self._newest_first.remove(job_id)
        lane = self._lane_of(job)
        groups, group = self._lanes[lane], _group(job, lane)
        groups[group].remove(_key(job))
        if not groups[group]:
            del groups[group]

    def position(self, job_id: str) -> int | None:
        """Return how many jobs are before this one (0: it is next); None if it is not queued."""
        if job_id in self._handed_over:
            return list(self._handed_over).index(job_id)
        job = self._jobs.get(job_id)
        return (
            None if job is None else len(self._handed_over) + self._order.position(self._place(job))
        )

    def position_in_lane(self, job_id: str) -> int | None:
        """Return how many jobs of its lane are before this one; None if it is not queued."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        place = self._place(job)
        return sum(each.position(place) for each in self._lanes[self._lane_of(job)].values())

    def _place(self, job: QueuedJob) -> _Key:
        """Return the place at which a job stands: its own, or one of its series."""
        return _key(self._jobs.get(self._newest_first.place_of(job.job_id), job))

    def _first(self, order: "_Order") -> QueuedJob:
        return self._jobs[order.first[2]]


class _Order:
    """Sorted keys, which may change while they are iterated."""

    def __init__(self) -> None:
        self._keys: list[_Key] = []

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def first(self) -> _Key:
        return self._keys[0]

    def first_keys(self, most: int | None) -> list[_Key]:
        """Return the first ``most`` keys, or all."""
        return self._keys[:most]

    def __iter__(self) -> Iterator[_Key]:
        index = 0
        while index < len(self._keys):
            key = self._keys[index]
            yield key
            is_unchanged = index < len(self._keys) and self._keys[index] is key
            index = index + 1 if is_unchanged else bisect_right(self._keys, key)

    def add(self, key: _Key) -> None:
        # New jobs come last, unless they have a priority.
        if not self._keys or self._keys[-1] < key:
            self._keys.append(key)
        else:
            insort(self._keys, key)

    def remove(self, key: _Key) -> None:
        del self._keys[bisect_left(self._keys, key)]

    def position(self, key: _Key) -> int:
        return bisect_left(self._keys, key)


def _group(job: QueuedJob, lane: QueueLane) -> _Group:
    # Elsewhere placement does not depend on the number, which can be any.
    number = job.demand.num_gpus if lane is Lane.WITH_GPU else 0
    return _Group(job.submitted_by, number, job.demand.waits_for_checkpoint)


def _key(job: QueuedJob) -> _Key:
    return -job.priority, job.place, job.job_id
