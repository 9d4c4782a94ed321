"""Expensive work of which only one request has its own done at a time, while a few others wait.

A client that leaves, while it waits or while its work is done, delays nobody any more.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web

from evalserver.web.http.errors import BadRequest
from evalserver.web.http.responses import is_connected

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks whether the client is still there."""

MAX_WAIT_SECONDS = 60.0
"""How long a request waits for its turn."""


class OneAtATime:
    """Does one request's work after the other's.

    At most ``max_waiting`` wait for their turn. Work that takes more than ``max_seconds`` is
    cancelled; None: it may take as long as it likes.
    """

    def __init__(self, what: str, max_waiting: int, max_seconds: float | None = None) -> None:
        self._what = what
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def run(self, request: web.Request, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work returns; it is cancelled when the client has left.

        Raises BadRequest: 503 when too many wait, or a limit of time is reached, and 408 (which
        nobody reads) for a client that has left.
        """
        if self._waiting >= self._max_waiting:
            raise _unavailable(
                f"{self._waiting} {self._what} wait for their turn, which is all that may"
            )
        self._waiting += 1
        try:
            await self._wait_for_turn(request)
        finally:
            self._waiting -= 1
        try:
            return await self._done(request, work)
        finally:
            self._turn.release()

    async def _wait_for_turn(self, request: web.Request) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + MAX_WAIT_SECONDS
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._turn.acquire()
                return
            except TimeoutError:
                if not is_connected(request):
                    raise _left() from None
            if loop.time() > end:
                raise _unavailable(
                    f"Other {self._what} took so long that this one had no turn within"
                    f" {MAX_WAIT_SECONDS:g} seconds"
                )

    async def _done(self, request: web.Request, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        doing = asyncio.create_task(work())
        try:
            async with asyncio.timeout(self._max_seconds):
                while not (await asyncio.wait([doing], timeout=LOOK_SECONDS))[0]:
                    if not is_connected(request):
                        raise _left()
        except TimeoutError:
            raise _unavailable(
                f"One of the {self._what} may take {self._max_seconds:g} seconds; this one took"
                " longer and was stopped"
            ) from None
        finally:
            await _cancel(doing)
        return doing.result()


async def run_stoppable(work: Callable[[threading.Event], T]) -> T:
    """What the work returns, which is done in a thread.

    The event that it gets is set when the caller is cancelled: it has to end soon then, and is
    waited for.
    """
    stop = threading.Event()
    doing = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([doing])
        doing.exception()
        raise


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task unless it has ended, and wait for its end."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


def _left() -> BadRequest:
    return BadRequest(HTTPStatus.REQUEST_TIMEOUT, "The client has left")


def _unavailable(why: str) -> BadRequest:
    return BadRequest(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; try again later")
