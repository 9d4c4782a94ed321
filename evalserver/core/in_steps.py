"""Long loops in the event loop, which let other work run in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

MAX_STEP_SECONDS = 0.002
"""How long a loop runs without a pause."""


async def in_steps(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items, with a pause every ``MAX_STEP_SECONDS``."""
    until = time.perf_counter() + MAX_STEP_SECONDS
    for item in items:
        yield item
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + MAX_STEP_SECONDS
