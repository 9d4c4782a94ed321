"""Waiting for an event with a limit."""

import asyncio
import contextlib


async def wait_until_set(event: asyncio.Event, limit_s: float | None) -> None:
    """Wait until the event is set, or for ``limit_s`` seconds (None: no limit)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
