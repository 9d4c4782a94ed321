"""The order of the queue, in memory: what is next, and how many are before a given job.

An index of what the database holds, rebuilt at every start; priority first, then submission.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

_Place = tuple[int, int, str]
"""Negated priority, submission number, job id: tuples sort in the order of the queue."""


class QueueIndex:
    """The queued jobs in order. A position costs O(log n)."""

    def __init__(self) -> None:
        self._order: list[_Place] = []
        self._places: dict[str, _Place] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[str]:
        return (place[2] for place in self._order)

    def add(self, job_id: str, priority: int, seq: int) -> None:
        """Put a job in its place; one that is there already, in another, is moved."""
        place = (-priority, seq, job_id)
        if self._places.get(job_id) == place:
            return
        self.remove(job_id)
        self._places[job_id] = place
        insort(self._order, place)

    def remove(self, job_id: str) -> None:
        """Take a job out; one that is not there changes nothing."""
        place = self._places.pop(job_id, None)
        if place is not None:
            del self._order[bisect_left(self._order, place)]

    def first(self) -> str | None:
        """The job that is next, or None."""
        return self._order[0][2] if self._order else None

    def position(self, job_id: str) -> int | None:
        """How many jobs are before this one (0: it is next); None if it is not queued."""
        place = self._places.get(job_id)
        return None if place is None else bisect_left(self._order, place)
