"""Running work that may wait for a disk in threads of its own, and no longer than a time limit."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

MAX_RUNNING = 4
"""Calls of one kind of work at a time; others wait."""

MAX_ABANDONED = 64
"""Threads that a disk which does not respond may hold; beyond it, nothing more is started."""


class DiskTimeout(Exception):
    """A disk did not respond within the time limit; the message names the work and the limit."""


class DiskThreads:
    """Threads for one kind of work, so that it delays no other kind.

    A thread that waits for a disk cannot be ended. When its time is up it is abandoned: its place
    is given to the next call, and it does not keep the process from exiting.
    """

    def __init__(self, work: str, limit_s: float) -> None:
        self._work = work
        self._limit_s = limit_s
        self._places = asyncio.Semaphore(MAX_RUNNING)
        self._abandoned = 0

    async def run(self, function: Callable[..., T], *args: Any, limit_s: float | None = None) -> T:
        """Return what ``function`` returns, or raise what it raises.

        ``limit_s`` replaces the usual limit. Raises DiskTimeout.
        """
        limit_s = self._limit_s if limit_s is None else limit_s
        async with self._places:
            if self._abandoned >= MAX_ABANDONED:
                raise DiskTimeout(f"{self._work}: a disk has not responded for a long time")
            ended = self._start(function, args)
            try:
                async with asyncio.timeout(limit_s):
                    return await asyncio.shield(ended)
            except TimeoutError:
                if ended.done():
                    raise  # by the function itself
                self._abandon(ended)
                raise DiskTimeout(
                    f"{self._work}: a disk did not respond within {limit_s:g} s"
                ) from None
            except asyncio.CancelledError:
                self._abandon(ended)
                raise

    def _start(self, function: Callable[..., T], args: tuple[Any, ...]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()
        thread = threading.Thread(
            target=_run, args=(loop, ended, function, args), name=self._work, daemon=True
        )
        thread.start()
        return ended

    def _abandon(self, ended: "asyncio.Future[Any]") -> None:
        if ended.done():
            return
        self._abandoned += 1
        ended.add_done_callback(self._found_again)

    def _found_again(self, ended: "asyncio.Future[Any]") -> None:
        self._abandoned -= 1
        if not ended.cancelled():
            ended.exception()  # nobody awaits it any more


def _run(
    loop: asyncio.AbstractEventLoop,
    ended: "asyncio.Future[T]",
    function: Callable[..., T],
    args: tuple[Any, ...],
) -> None:
    try:
        result = function(*args)
    except Exception as error:
        _resolve(loop, ended, ended.set_exception, error)
    else:
        _resolve(loop, ended, ended.set_result, result)


def _resolve(
    loop: asyncio.AbstractEventLoop,
    ended: "asyncio.Future[T]",
    setter: Callable[[Any], None],
    value: Any,
) -> None:
    def set_unless_done() -> None:
        if not ended.done():
            setter(value)

    try:
        loop.call_soon_threadsafe(set_unless_done)
    except RuntimeError:
        return  # the loop is closed: the server has ended
