"""How long it takes until the last job of a line has ended, if all start in order. Pure."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class Step(NamedTuple):
    """A job of the line: the GPUs that it needs, and its expected duration in seconds."""

    num_gpus: int
    seconds: float


class Occupied(NamedTuple):
    """The GPUs of a running job, and the seconds until it has ended."""

    num_gpus: int
    seconds: float


def end_of_last(
    line: Sequence[Step],
    running: Sequence[Occupied],
    max_running: int | None,
    num_gpus: int | None,
) -> float | None:
    """Return the seconds until the last job of the line has ended.

    At most ``max_running`` run at once, on ``num_gpus`` GPUs together (None: no such limit).
    Returns None if a job of the line needs more GPUs than that.
    """
    ends = [(each.seconds, each.num_gpus if num_gpus is not None else 0) for each in running]
    heapify(ends)
    free = None if num_gpus is None else num_gpus - sum(gpus for _, gpus in ends)
    now = end = 0.0
    for step in line:
        needed = 0 if num_gpus is None else step.num_gpus
        while (free is not None and free < needed) or (
            max_running is not None and len(ends) >= max_running
        ):
            if not ends:
                return None
            released_at, gpus = heappop(ends)
            now = max(now, released_at)
            if free is not None:
                free += gpus
        if free is not None:
            free -= needed
        end = now + step.seconds
        heappush(ends, (end, needed))
    return end
