"""Supervising the server's background tasks: a failure is reported, and the task restarted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

from evalserver.core.health import Health

log = structlog.get_logger("evalserver.core.supervision")

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0
STABLE_SECONDS = 5.0
"""A task that has run this long since its last failure counts as recovered."""


def pause_after(failures: int) -> float:
    """The delay in seconds before a task is restarted after this many failures in a row."""
    return float(min(MIN_PAUSE_SECONDS * 2 ** min(failures - 1, 30), MAX_PAUSE_SECONDS))


async def supervise(name: str, work: Callable[[], Awaitable[None]], health: Health) -> None:
    """Run ``work`` until it returns or is cancelled, and restart it whenever it raises.

    ``name`` identifies the task in the log and in ``health``. ``work`` must be able to resume from
    the state of the previous call.
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
                log.exception("a task failed; restarting it", task=name, in_seconds=pause)
                health.report(name, f"{name} failed, and is restarted after {pause:g} s: {error!r}")
            finally:
                stable.cancel()
            await asyncio.sleep(pause)
    finally:
        health.clear(name)


@asynccontextmanager
async def supervised(
    works: Mapping[str, Callable[[], Awaitable[None]]], health: Health
) -> AsyncIterator[None]:
    """Supervise each work, by its name, in a task of its own during the block."""
    tasks = [
        asyncio.create_task(supervise(name, work, health), name=name)
        for name, work in works.items()
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def log_failure(task: "asyncio.Task[None]") -> None:
    """Log the failure of a task that is not awaited. To be added as a done callback."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a task failed", task=task.get_name(), error=repr(error), exc_info=error)


def _is_cancelled(error: BaseException) -> bool:
    """Whether this task itself was cancelled, rather than something that it awaited."""
    task = asyncio.current_task()
    cancelled = task is not None and task.cancelling() > 0
    return cancelled and isinstance(error, asyncio.CancelledError)
