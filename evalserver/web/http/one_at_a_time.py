"""Expensive work that runs for one request at a time, while a few others wait.

When a client disconnects, its work is cancelled and delays nobody.
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

CONNECTION_CHECK_SECONDS = 0.5
"""Between two checks whether the client is still connected."""

MAX_WAIT_SECONDS = 60.0
"""How long a request waits for its turn."""


class SerialWork:
    """Runs the work of one request at a time; at most ``max_waiting`` requests wait.

    Work that takes more than ``max_seconds`` is cancelled; None means no limit.
    """

    def __init__(self, what: str, max_waiting: int, max_seconds: float | None = None) -> None:
        self._what = what
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def run(self, request: web.Request, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` and return its result. It is cancelled when the client disconnects.

        Raises BadRequest: 503 if too many requests wait or a time limit is reached, 408 if the
        client has disconnected.
        """
        if self._waiting >= self._max_waiting:
            raise _unavailable(f"{self._waiting} {self._what} are waiting, which is the limit")
        self._waiting += 1
        try:
            await self._acquire_turn(request)
        finally:
            self._waiting -= 1
        try:
            return await self._run(request, work)
        finally:
            self._turn.release()

    async def _acquire_turn(self, request: web.Request) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + MAX_WAIT_SECONDS
        while True:
            try:
                async with asyncio.timeout(CONNECTION_CHECK_SECONDS):
                    await self._turn.acquire()
                return
            except TimeoutError:
                if not is_connected(request):
                    raise _client_left() from None
            if loop.time() > end:
                raise _unavailable(
                    f"Other {self._what} took so long that this one had no turn within"
                    f" {MAX_WAIT_SECONDS:g} seconds"
                )

    async def _run(self, request: web.Request, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        doing = asyncio.create_task(work())
        try:
            async with asyncio.timeout(self._max_seconds):
                while not (await asyncio.wait([doing], timeout=CONNECTION_CHECK_SECONDS))[0]:
                    if not is_connected(request):
                        raise _client_left()
        except TimeoutError:
            raise _unavailable(
                f"One of the {self._what} may take {self._max_seconds:g} seconds; this one took"
                " longer and was stopped"
            ) from None
        finally:
            await _cancel(doing)
        return doing.result()


async def run_stoppable(work: Callable[[threading.Event], T]) -> T:
    """Run ``work`` in a thread and return its result.

    When the caller is cancelled, the event is set, and ``work`` must stop soon; it is awaited.
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


def _client_left() -> BadRequest:
    return BadRequest(HTTPStatus.REQUEST_TIMEOUT, "The client has disconnected")


def _unavailable(why: str) -> BadRequest:
    return BadRequest(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; try again later")
