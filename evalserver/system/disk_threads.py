"""Runs work that may wait for a disk in separate threads, with a time limit."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

MAX_RUNNING = 4
"""Concurrent calls of one kind of work; others wait."""

MAX_ABANDONED = 64
"""Maximum threads that still wait for a disk after their time limit; beyond it, calls fail."""


class DiskTimeout(Exception):
    """A disk did not respond within the time limit; the message names the work and the limit."""


class DiskThreads:
    """Threads for one kind of work, so that it delays no other kind.

    A thread that waits for a disk cannot be stopped. After its time limit it is abandoned: the next
    call may start, and the process can exit without waiting for the thread.
    """

    def __init__(self, work: str, limit_s: float) -> None:
        self._work = work
        self._limit_s = limit_s
        self._slots = asyncio.Semaphore(MAX_RUNNING)
        self._abandoned = 0

    async def run(self, function: Callable[..., T], *args: Any, limit_s: float | None = None) -> T:
        """Run ``function`` in a thread, and return its result.

        ``limit_s`` overrides the default limit. Raises DiskTimeout.
        """
        limit_s = self._limit_s if limit_s is None else limit_s
        async with self._slots:
            if self._abandoned >= MAX_ABANDONED:
                raise DiskTimeout(f"{self._work}: a disk has not responded for a long time")
            future = self._start(function, args)
            try:
                await asyncio.wait([future], timeout=limit_s)
            finally:
                if not future.done():
                    self._abandon(future)
            if future.done():
                return future.result()
            raise DiskTimeout(f"{self._work}: a disk did not respond within {limit_s:g} s")

    def _start(self, function: Callable[..., T], args: tuple[Any, ...]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        thread = threading.Thread(
            target=_run, args=(loop, future, function, args), name=self._work, daemon=True
        )
        thread.start()
        return future

    def _abandon(self, future: "asyncio.Future[Any]") -> None:
        self._abandoned += 1
        future.add_done_callback(self._on_abandoned_done)

    def _on_abandoned_done(self, future: "asyncio.Future[Any]") -> None:
        self._abandoned -= 1
        if not future.cancelled():
            future.exception()  # mark it as retrieved


def _run(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[T]",
    function: Callable[..., T],
    args: tuple[Any, ...],
) -> None:
    try:
        result = function(*args)
    except Exception as error:
        _resolve(loop, future, future.set_exception, error)
    else:
        _resolve(loop, future, future.set_result, result)


def _resolve(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[T]",
    setter: Callable[[Any], None],
    value: Any,
) -> None:
    def set_unless_done() -> None:
        if not future.done():
            setter(value)

    try:
        loop.call_soon_threadsafe(set_unless_done)
    except RuntimeError:
        return  # the loop is closed: the server has stopped
