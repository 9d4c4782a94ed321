"""Keeping the server's own tasks alive: one that fails is said to have, and is started again."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from evalserver.core.health import Health

log = structlog.get_logger("evalserver.core.supervision")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STABLE_SECONDS = 5.0
"""A task that has run for so long since its last failure is well again."""


def pause_after(failures: int) -> float:
    """The seconds to wait before a task is started again that has failed so often in a row."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 30), LONGEST_PAUSE_SECONDS))


async def supervise(name: str, work: Callable[[], Awaitable[None]], health: Health) -> None:
    """Do ``work`` until it returns or the caller is cancelled; again, whenever it raises.

    ``name`` says in the log and in ``health`` what failed. ``work`` must carry on from where the
    last call was.
    """
    failures = 0
    loop = asyncio.get_running_loop()
    try:
        while True:
            began = loop.time()
            stable = loop.call_later(STABLE_SECONDS, health.clear, name)
            try:
                await work()
                return
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled(error):
                    raise
                failures = 1 if loop.time() - began > STABLE_SECONDS else failures + 1
                pause = pause_after(failures)
                log.exception("a task failed; it is started again", task=name, in_seconds=pause)
                health.report(
                    name, f"{name} failed, and is started again after {pause:g} s: {error!r}"
                )
            finally:
                stable.cancel()
            await asyncio.sleep(pause)
    finally:
        health.clear(name)


def log_failure(task: "asyncio.Task[None]") -> None:
    """Say that a task failed which nobody awaits; a callback for when it is done."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a task failed", task=task.get_name(), error=repr(error), exc_info=error)


def _is_cancelled(error: BaseException) -> bool:
    """Is it this task that was cancelled, and not something that it waited for?"""
    task = asyncio.current_task()
    cancelled = task is not None and task.cancelling() > 0
    return cancelled and isinstance(error, asyncio.CancelledError)
