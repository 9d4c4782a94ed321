"""Jobs per second that are queued in batches, and how long others wait meanwhile."""

import asyncio
from functools import partial

from tests.bench.figures import Figure, Target, compared
from tests.bench.plan import Pair, Plan
from tests.bench.sides import Side

CLIENTS = 16
SIZES = (100, 1000)
RATE = Target(at_least=4, ratio=True)
STALL = Target(at_most=50)
MEMORY = Target(at_most=0.4)
PROBE_PAUSE_S = 0.002


async def batching(plan: Plan) -> list[Figure]:
    """Jobs in batches beside single submissions of the other server, and what a batch delays."""
    figures: list[Figure] = []

    async def submit() -> None:
        for size in SIZES:
            values = await pair.alternately(plan.rounds, partial(_rate, plan, pair, size))
            name = f"jobs in batches of {size}, {CLIENTS} clients, by single submissions"
            figures.append(compared(name, "/s", *values, RATE))

    async with plan.pair(queued=0) as pair:
        memory = await pair.memory_per_job(submit)
        stalls = [await _stall(plan, pair.ours) for _ in range(plan.rounds)]
    return [
        *figures,
        compared("longest GET /health beside batches of 1000", "ms", stalls, target=STALL),
        compared("memory of a job of a batch", "KB", *memory, MEMORY),
    ]


async def _rate(plan: Plan, pair: Pair, size: int, side: Side) -> float:
    if side is not pair.ours:
        return (await side.submit(CLIENTS, plan.seconds)).rate
    # Sixteen batches take some seconds, and only whole ones count.
    return (await side.submit_batches(CLIENTS, 4 * plan.seconds, size)).rate * size


async def _stall(plan: Plan, side: Side) -> float:
    """The longest ``GET /health`` in milliseconds while one client sends batch after batch."""
    probe = side.put(1, plan.seconds, ["/health"], pause_s=PROBE_PAUSE_S)
    answered, _ = await asyncio.gather(probe, side.submit_batches(1, plan.seconds, max(SIZES)))
    return answered.worst * 1000
