"""Ending long answers whose reader's token was revoked, or has expired, meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from evalserver.web.security.authorization import is_still_authorized

T = TypeVar("T")

CHECK_SECONDS = 1.0
"""Between two looks whether the token still holds."""


async def while_authorized(request: web.Request, sending: Coroutine[Any, Any, T]) -> T:
    """What the sending of an answer returns; it is cut off once its reader is not admitted.

    Raises ConnectionError then: the answer has begun, and nothing can be said any more.
    """
    work = asyncio.ensure_future(sending)
    try:
        while not (await asyncio.wait([work], timeout=CHECK_SECONDS))[0]:
            if not is_still_authorized(request):
                await _end(work)
                # Not before: a connection that is closed while the kernel still sends a file from
                # it leaves its number watched, and the next connection with it is never heard.
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionAbortedError("the token does not hold any more")
        return work.result()
    finally:
        await _end(work)


async def _end(work: asyncio.Future[Any]) -> None:
    if not work.done():
        work.cancel()
        await asyncio.wait([work])
