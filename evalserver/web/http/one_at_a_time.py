"""Work in a thread that only one request has done at a time, while a few others wait.

A client that leaves, while it waits or while its work is done, delays nobody any more.
"""

import asyncio
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from evalserver.web.http.errors import BadRequest
from evalserver.web.http.responses import is_connected

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks whether the client is still there."""


class OneAtATime:
    """Does one request's work after the other's; at most ``most_waiting`` wait for their turn."""

    def __init__(self, what: str, most_waiting: int) -> None:
        self._what = what
        self._most_waiting = most_waiting
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def run(self, request: web.Request, work: Callable[[threading.Event], T]) -> T:
        """What the work returns; it has to end soon once the event is set that it gets.

        Raises BadRequest: 503 when too many wait, 408 (which nobody reads) for who has left.
        """
        if self._waiting >= self._most_waiting:
            raise BadRequest(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._waiting} {self._what} wait for their turn, which is all that may; try"
                " again later",
            )
        self._waiting += 1
        try:
            await self._wait_for_turn(request)
        finally:
            self._waiting -= 1
        try:
            return await _done(request, work)
        finally:
            self._turn.release()

    async def _wait_for_turn(self, request: web.Request) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._turn.acquire()
                return
            except TimeoutError:
                if not is_connected(request):
                    raise _left() from None


async def _done(request: web.Request, work: Callable[[threading.Event], T]) -> T:
    stop = threading.Event()
    doing = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        while not (await asyncio.wait([doing], timeout=LOOK_SECONDS))[0]:
            if not is_connected(request):
                raise _left()
        return doing.result()
    finally:
        if not doing.done():
            stop.set()
            await asyncio.wait([doing])
            doing.exception()


def _left() -> BadRequest:
    return BadRequest(HTTPStatus.REQUEST_TIMEOUT, "The client has left")
