"""Running what may wait for a disk in a thread of its own, and no longer than it may take."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_own_thread(function: Callable[..., T], *args: Any, limit_s: float) -> T:
    """What ``function`` returns or raises. Raises TimeoutError after ``limit_s`` seconds.

    A thread that waits for a disk cannot be ended: it is left behind then. It holds up nobody: it
    is none of those that everybody shares, and no process waits for it to exit.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()
    threading.Thread(
        target=_run, args=(loop, ended, function, args), name="own", daemon=True
    ).start()
    async with asyncio.timeout(limit_s):
        return await ended


def _run(
    loop: asyncio.AbstractEventLoop,
    ended: "asyncio.Future[T]",
    function: Callable[..., T],
    args: tuple[Any, ...],
) -> None:
    try:
        result = function(*args)
    except Exception as error:
        _tell(loop, ended, ended.set_exception, error)
    else:
        _tell(loop, ended, ended.set_result, result)


def _tell(
    loop: asyncio.AbstractEventLoop,
    ended: "asyncio.Future[T]",
    tell: Callable[[Any], None],
    what: Any,
) -> None:
    def unless_given_up() -> None:
        if not ended.done():
            tell(what)

    try:
        loop.call_soon_threadsafe(unless_given_up)
    except RuntimeError:
        return  # the loop was closed meanwhile: the server has ended
