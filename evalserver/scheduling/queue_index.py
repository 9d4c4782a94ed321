"""The order of the queue, in memory: which job is next, and what position a job has.

An index of what the database contains, rebuilt at every start. Order: priority, then submission.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

_Key = tuple[int, int, str]
"""Negated priority, submission number, job id: sorted in the order of the queue."""


class QueueIndex:
    """The queued jobs in order. Finding a position costs O(log n)."""

    def __init__(self) -> None:
        self._order: list[_Key] = []
        self._keys: dict[str, _Key] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._keys

    def __iter__(self) -> Iterator[str]:
        """Yield the jobs in order. The queue may change meanwhile: no job is yielded twice or
        missed because others come or go."""
        index = 0
        while index < len(self._order):
            key = self._order[index]
            yield key[2]
            is_unchanged = index < len(self._order) and self._order[index] is key
            index = index + 1 if is_unchanged else bisect_right(self._order, key)

    def add(self, job_id: str, priority: int, seq: int) -> None:
        """Add a job. A job that is queued with another priority is moved."""
        key = (-priority, seq, job_id)
        if self._keys.get(job_id) == key:
            return
        self.remove(job_id)
        self._keys[job_id] = key
        insort(self._order, key)

    def remove(self, job_id: str) -> None:
        """Remove a job, if it is queued."""
        key = self._keys.pop(job_id, None)
        if key is not None:
            del self._order[bisect_left(self._order, key)]

    def position(self, job_id: str) -> int | None:
        """Return how many jobs are before this one (0: it is next); None if it is not queued."""
        key = self._keys.get(job_id)
        return None if key is None else bisect_left(self._order, key)
