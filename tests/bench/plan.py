"""The extent of a benchmark and the servers that it compares."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.sides import Side, ours

Start = Callable[[Path, int], AbstractAsyncContextManager[Side]]
"""Runs a server within a context: the directory of its files, the number of queued jobs."""

Measure = Callable[[Side], Awaitable[float]]

Values = tuple[list[float], list[float]]
"""Values of ours and of the other server, one per round."""


@dataclass(frozen=True)
class Pair:
    """Our server and, if there is one, another in the same state."""

    ours: Side
    other: Side | None

    async def memory_per_job(self, fill: Callable[[], Awaitable[None]]) -> Values:
        """The kilobytes that each takes for a job that was queued meanwhile."""
        # Of a server that somebody else has started, we do not know the process.
        sides = [each for each in (self.ours, self.other) if each is not None and each.pid]
        before = [(side.memory(), await side.queued()) for side in sides]
        await fill()
        values = [
            (side.memory() - memory) / 1024 / max(1, await side.queued() - queued)
            for side, (memory, queued) in zip(sides, before, strict=True)
        ]
        return values[:1], values[1:]

    async def alternately(self, rounds: int, measure: Measure) -> Values:
        """What is measured of the two, in turns."""
        values: Values = ([], [])
        for _ in range(rounds):
            values[0].append(await measure(self.ours))
            if self.other is not None:
                values[1].append(await measure(self.other))
        return values


@dataclass(frozen=True)
class Plan:
    """Rounds of so many seconds each; numbers of clients, lengths of the queue, evaluations in a
    row, event streams, evaluations on several slots; on a cluster, limits of what is there, jobs,
    and jobs of others that wait there. ``other`` is what ours is compared with."""

    folder: Path
    other: Start | None = None
    rounds: int = 5
    seconds: float = 2.0
    clients: tuple[int, ...] = (1, 16, 64)
    sizes: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    evaluations: int = 50
    streams: int = 200
    handed_over: tuple[int, ...] = (100, 1_000)
    cluster_jobs: int = 1_000
    max_cluster_s: float = 3600.0
    pending: int = 10_000
    pending_s: float = 20.0
    slot_evaluations: int = 64
    slot_seconds: float = 3.0

    @asynccontextmanager
    async def pair(self, queued: int) -> AsyncIterator[Pair]:
        """Our server and the other, with so many jobs in the queue of each."""
        async with ours(self.folder, queued) as side, self.beside(side, queued) as pair:
            yield pair

    @asynccontextmanager
    async def beside(self, side: Side, queued: int) -> AsyncIterator[Pair]:
        """A server of ours, and the other in the same state."""
        if self.other is None:
            yield Pair(side, None)
            return
        async with self.other(self.folder, queued) as other:
            yield Pair(side, other)


def quick(plan: Plan) -> Plan:
    """The same, but only a little of everything."""
    return replace(
        plan,
        rounds=1,
        seconds=0.2,
        clients=(1, 4),
        sizes=(10, 100),
        evaluations=3,
        streams=5,
        handed_over=(4,),
        cluster_jobs=8,
        pending=100,
        pending_s=1.0,
        slot_evaluations=16,
        slot_seconds=0.1,
    )
