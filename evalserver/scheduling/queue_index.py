"""The order of the queue, in memory: which jobs are next, and what position a job has.

An index of what the database contains, rebuilt at every start. Order: priority, then submission.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator

from evalserver.core.job import QueuedJob
from evalserver.scheduling.slots import Lane

_Key = tuple[int, int, str]
"""Negated priority, submission number, job id: sorted in the order of the queue."""


class QueueIndex:
    """The queued jobs in order, all of them and those of each lane.

    Finding a position costs O(log n).
    """

    def __init__(self, lane_of: Callable[[QueuedJob], Lane] = lambda _: Lane.ALL) -> None:
        self._lane_of = lane_of
        self._order = _Order()
        self._lanes = {lane: _Order() for lane in Lane}
        self._jobs: dict[str, QueuedJob] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[str]:
        """Yield the jobs in order. The queue may change meanwhile: no job is yielded twice or
        missed because others come or go."""
        return iter(self._order)

    def in_lane(self, lane: Lane) -> Iterator[QueuedJob]:
        """Yield the jobs of a lane in order; the queue may change meanwhile."""
        for job_id in self._lanes[lane]:
            job = self._jobs.get(job_id)
            if job is not None:
                yield job

    def add(self, job: QueuedJob) -> None:
        """Add a job. A job that is queued with another priority is moved."""
        if self._jobs.get(job.job_id) == job:
            return
        self.remove(job.job_id)
        self._jobs[job.job_id] = job
        self._order.add(_key(job))
        self._lanes[self._lane_of(job)].add(_key(job))

    def remove(self, job_id: str) -> None:
        """Remove a job, if it is queued."""
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._order.remove(_key(job))
            self._lanes[self._lane_of(job)].remove(_key(job))

    def position(self, job_id: str) -> int | None:
        """Return how many jobs are before this one (0: it is next); None if it is not queued."""
        job = self._jobs.get(job_id)
        return None if job is None else self._order.position(_key(job))

    def position_in_lane(self, job_id: str) -> int | None:
        """Return how many jobs of its lane are before this one; None if it is not queued."""
        job = self._jobs.get(job_id)
        return None if job is None else self._lanes[self._lane_of(job)].position(_key(job))


class _Order:
    """Sorted keys, which may change while they are iterated."""

    def __init__(self) -> None:
        self._keys: list[_Key] = []

    def __iter__(self) -> Iterator[str]:
        index = 0
        while index < len(self._keys):
            key = self._keys[index]
            yield key[2]
            is_unchanged = index < len(self._keys) and self._keys[index] is key
            index = index + 1 if is_unchanged else bisect_right(self._keys, key)

    def add(self, key: _Key) -> None:
        insort(self._keys, key)

    def remove(self, key: _Key) -> None:
        del self._keys[bisect_left(self._keys, key)]

    def position(self, key: _Key) -> int:
        return bisect_left(self._keys, key)


def _key(job: QueuedJob) -> _Key:
    return -job.priority, job.seq, job.job_id
