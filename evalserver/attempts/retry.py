"""Repeating what the store cannot do while it is unavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from evalserver.store import StoreUnavailable

log = structlog.get_logger("evalserver.attempts.retry")

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""Between two tries, of the store and also to start or stop an attempt."""


async def retry_until_writable(operation: Callable[[], Awaitable[T]]) -> T:
    """Return what ``operation`` returns, as soon as the store is available.

    Why it is not is logged once, until there is another reason.
    """
    logged: str | None = None
    while True:
        try:
            return await operation()
        except StoreUnavailable as error:
            if str(error) != logged:
                logged = str(error)
                log.error("the store is unavailable; trying again", error=logged)
            await asyncio.sleep(RETRY_SECONDS)
