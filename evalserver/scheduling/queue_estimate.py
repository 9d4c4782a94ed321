"""How long it takes until the last of some jobs has ended, if all start in order. Pure."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class ExpectedJob(NamedTuple):
    """The GPUs that a job needs, and its expected duration in seconds; of a running job, the GPUs
    that it holds, and the seconds until its end."""

    num_gpus: int
    seconds: float


def seconds_until_last_ends(
    queued: Sequence[ExpectedJob],
    running: Sequence[ExpectedJob],
    max_running: int | None,
    num_gpus: int | None,
) -> float | None:
    """Return the seconds until the last of the queued jobs has ended.

    At most ``max_running`` run at once, on ``num_gpus`` GPUs together (None: no such limit).
    Returns None if a queued job needs more GPUs than that.
    """
    ends = [(job.seconds, job.num_gpus if num_gpus is not None else 0) for job in running]
    heapify(ends)
    free = None if num_gpus is None else num_gpus - sum(gpus for _, gpus in ends)
    now = end = 0.0
    for job in queued:
        needed = 0 if num_gpus is None else job.num_gpus
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
        end = now + job.seconds
        heappush(ends, (end, needed))
    return end
