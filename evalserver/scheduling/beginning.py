"""Beginning the next attempt of a queued job: its directory, and the record of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.retry import retry_until_writable
from evalserver.core.job import Job
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.store import IllegalTransition, JobPruned, Store

log = structlog.get_logger("evalserver.scheduling.beginning")

POLL_SECONDS = 0.1


async def begin_attempt(
    store: Store,
    attempts: Attempts,
    queue: QueueIndex,
    job_id: str,
    write: Callable[[Job, Path, Path], Awaitable[None]],
) -> Job | None:
    """Begin the next attempt of a queued job; ``write`` writes that into the store, with the run
    directory and the output directory.

    Returns None if the job is not next any more.
    """
    try:
        job = await retry_until_writable(lambda: store.queries.job(job_id))
        paths = await attempts.reserve(job)
        await retry_until_writable(lambda: write(job, paths.run_dir, paths.output_dir))
    except IllegalTransition as error:
        log.info("a job is not started now; deciding again", job=job_id, why=str(error))
        # Whatever contradicts the decision may last: no busy loop.
        await asyncio.sleep(POLL_SECONDS)
        return None
    except JobPruned:
        queue.remove(job_id)
        return None
    return await retry_until_writable(lambda: store.queries.job(job_id))
