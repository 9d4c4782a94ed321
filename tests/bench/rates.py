"""Answers per second, and how long others wait meanwhile; memory per queued job."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from tests.bench.figures import Figure, Target, compared
from tests.bench.load import LoadResult
from tests.bench.plan import Pair, Plan
from tests.bench.sides import Side, hello, ours

LOADERS = 64
PROBE_PAUSE_S = 0.005

SUBMISSIONS = {
    1: Target(at_least=0.55, ratio=True),
    16: Target(at_least=1.5, ratio=True),
    64: Target(at_least=1.5, ratio=True),
}
HELLO_SIZE = 10_000
HELLO = Target(at_least=0.8, ratio=True)
QUEUES = {10_000: Target(at_least=10, ratio=True)}
FLAT = Target(at_least=0.8)
HEALTH = Target(at_most=10)
MEMORY = Target(at_most=0.4)


async def submitting(plan: Plan) -> list[Figure]:
    """Submissions by the number of clients, and the memory that they take."""
    figures: list[Figure] = []

    async def submit() -> None:
        for clients in plan.clients:
            values = await pair.alternately(plan.rounds, partial(_submissions, plan, clients))
            name = f"POST /evaluate, {clients} clients"
            figures.append(compared(name, "/s", *values, SUBMISSIONS.get(clients)))
        values = await pair.alternately(plan.rounds, partial(_health_beside_submissions, plan))
        name = f"GET /health, p99 beside {LOADERS} who submit"
        figures.append(compared(name, "ms", *values, HEALTH))

    async with plan.pair(queued=0) as pair:
        memory = await pair.memory_per_job(submit)
    return [*figures, compared("memory of a submitted job", "KB", *memory, MEMORY)]


async def reading(plan: Plan) -> list[Figure]:
    """Jobs and queues by the length of the queue."""
    figures = []
    async with AsyncExitStack() as stack:
        sides = {
            size: await stack.enter_async_context(ours(plan.folder, size)) for size in plan.sizes
        }
        # Before anybody has asked for anything: what is left of a large answer is no queued job.
        per_job = _memory_by_length(sides)
        for size, side in sides.items():
            async with plan.beside(side, size) as pair:
                figures += await _reading_at(plan, pair, size)
        shortest, longest = sides[min(sides)], sides[max(sides)]
        figures += await _beside_hello(plan, sides.get(HELLO_SIZE, longest))
        pair = Pair(longest, shortest)
        jobs = await pair.alternately(plan.rounds, partial(_jobs, plan))
    by_length = [long / short for long, short in zip(*jobs, strict=True)]
    name = f"GET /jobs/{{id}}, {max(sides)} queued by {min(sides)} queued"
    return [
        *figures,
        compared(name, "", by_length, target=FLAT),
        compared("memory of a queued job, after a start", "KB", [per_job], target=MEMORY),
    ]


def _memory_by_length(sides: Mapping[int, Side]) -> float:
    """Kilobytes that one more queued job takes, by the shortest queue and the longest."""
    shortest, longest = min(sides), max(sides)
    grown = sides[longest].memory() - sides[shortest].memory()
    return grown / 1024 / (longest - shortest)


async def _beside_hello(plan: Plan, side: Side) -> list[Figure]:
    """Jobs, beside the least that a server of aiohttp does."""
    async with hello(plan.folder) as least:

        async def read(each: Side) -> float:
            paths = ["/"] if each is least else await each.job_paths()
            return (await each.put(1, plan.seconds, paths)).rate

        jobs = await Pair(side, least).alternately(plan.rounds, read)
    name = f"GET /jobs/{{id}}, {await side.queued()} queued, beside aiohttp's hello"
    return [compared(name, "/s", *jobs, HELLO)]


async def _reading_at(plan: Plan, pair: Pair, size: int) -> list[Figure]:
    jobs = await pair.alternately(plan.rounds, partial(_jobs, plan))
    queues = await pair.alternately(plan.rounds, partial(_queues, plan))
    health = await pair.alternately(plan.rounds, partial(_health_beside_jobs, plan))
    return [
        compared(f"GET /jobs/{{id}}, {size} queued", "/s", *jobs),
        compared(f"GET /queue, {size} queued", "/s", *queues, QUEUES.get(size)),
        compared(f"GET /health, p99 beside {LOADERS} who read of {size}", "ms", *health, HEALTH),
    ]


async def _submissions(plan: Plan, clients: int, side: Side) -> float:
    return (await side.submit(clients, plan.seconds)).rate


async def _jobs(plan: Plan, side: Side) -> float:
    return (await side.put(1, plan.seconds, await side.job_paths())).rate


async def _queues(plan: Plan, side: Side) -> float:
    return (await side.put(1, plan.seconds, ["/queue"])).rate


async def _health_beside_submissions(plan: Plan, side: Side) -> float:
    return await _health_beside(plan, side, side.submit(LOADERS, plan.seconds))


async def _health_beside_jobs(plan: Plan, side: Side) -> float:
    paths: Sequence[str] = await side.job_paths()
    return await _health_beside(plan, side, side.put(LOADERS, plan.seconds, list(paths)))


async def _health_beside(plan: Plan, side: Side, load: Awaitable[LoadResult]) -> float:
    """The 99th percentile of ``GET /health`` in milliseconds, asked for by a process of its own."""
    probe = side.put(1, plan.seconds, ["/health"], pause_s=PROBE_PAUSE_S)
    answered, _ = await asyncio.gather(probe, load)
    return answered.p99 * 1000
