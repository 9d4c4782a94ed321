"""Aborts long responses when the client's token is revoked or expires."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from evalserver.web.security.authorization import is_still_authorized

T = TypeVar("T")

CHECK_INTERVAL_SECONDS = 1.0
"""Time between two checks of the token."""


async def while_authorized(request: web.Request, response: Coroutine[Any, Any, T]) -> T:
    """Send a response, and return its result; abort it when the client is no longer authorized.

    Raises ConnectionError then, since the response has begun and cannot become an error response.
    """
    work = asyncio.ensure_future(response)
    try:
        while not (await asyncio.wait([work], timeout=CHECK_INTERVAL_SECONDS))[0]:
            if not is_still_authorized(request):
                await _cancel(work)
                # Only after cancelling: if a connection is closed during sendfile, the loop keeps
                # watching its descriptor, and a new connection with that descriptor gets no events.
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionAbortedError("the token is no longer valid")
        return work.result()
    finally:
        await _cancel(work)


async def _cancel(work: asyncio.Future[Any]) -> None:
    if not work.done():
        work.cancel()
        await asyncio.wait([work])
