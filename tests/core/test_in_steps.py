"""Long loops in the event loop, which let other work run in between."""

import asyncio
import time
from collections.abc import Iterator

from evalserver.core.in_steps import MAX_STEP_SECONDS, in_steps

ITEMS = 5


def slow_items() -> Iterator[int]:
    """Yield items that each take longer than a step may."""
    for item in range(ITEMS):
        time.sleep(MAX_STEP_SECONDS * 1.5)
        yield item


async def test_other_work_runs_after_each_step() -> None:
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(other_work())
    seen = [item async for item in in_steps(slow_items())]
    other.cancel()

    assert (seen, turns) == (list(range(ITEMS)), ITEMS)
