"""Submitting a job, looking at it, cancelling it."""

import asyncio
import uuid
from dataclasses import asdict, replace
from typing import Any

import structlog
from aiohttp import web

from evalserver.forecast import Forecast
from evalserver.job import EvaluateRequest, Job, NewJob
from evalserver.lifecycle import Status
from evalserver.progress import Progress
from evalserver.runner.crash_point import crash_point
from evalserver.web.keys import ARGS, BODY, ENGINES, FORECASTS, PROGRESS, SCHEDULER, STORE
from evalserver.web.replies import reply
from evalserver.web.schemas import JobSchema

log = structlog.get_logger("evalserver.web")

ANONYMOUS = "anonymous"
"""Who submits, as long as the server asks nobody for a name."""

LOOKS = 10
BETWEEN_LOOKS_SECONDS = 0.01


async def evaluate(request: web.Request) -> web.Response:
    """``POST /evaluate``: queue an evaluation; answers once the job is on disk."""
    engines, args = request.app[ENGINES], request.app[ARGS]
    wanted: EvaluateRequest = request[BODY]
    engine = wanted.engine or args.default_engine
    if wanted.use_cache is None:
        wanted = replace(wanted, use_cache=engines[engine].caches_by_default)
    if wanted.timeout_s is None:
        wanted = replace(wanted, timeout_s=args.effective_timeout)
    job = NewJob(str(uuid.uuid4()), engine, wanted, submitted_by=ANONYMOUS)
    await request.app[STORE].submit(job)
    crash_point("submitted")
    log.info("job submitted", job=job.job_id, model=wanted.model, tasks=",".join(wanted.tasks))
    return _queued(request, job.job_id)


async def get_job(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}``: one job."""
    job, position = await _placed(request, request.match_info["job_id"])
    # A record may tell of the end a moment before the board has heard of it.
    runs = job.status is Status.RUNNING
    progress = request.app[PROGRESS].of(job.job_id) if runs else None
    forecast = await request.app[FORECASTS].of(job, position)
    return reply(JobSchema().dump(_shown(job, position, progress, forecast)))


async def retry_job(request: web.Request) -> web.Response:
    """``POST /jobs/{job_id}/retry``: queue a finished job for a further attempt."""
    job_id = request.match_info["job_id"]
    await request.app[SCHEDULER].retry(job_id, actor=ANONYMOUS)
    return _queued(request, job_id)


async def cancel_job(request: web.Request) -> web.Response:
    """``DELETE /jobs/{job_id}``: cancel a job that has not finished."""
    scheduler = request.app[SCHEDULER]
    message = await scheduler.cancel(request.match_info["job_id"], actor=ANONYMOUS)
    return reply({"message": message})


async def _placed(request: web.Request, job_id: str) -> tuple[Job, int | None]:
    """The job, and its position if it is queued.

    The record and the index of the queue are two moments: a job may have been queued or claimed
    between them, and then both are looked at again.
    """
    store, queue = request.app[STORE], request.app[SCHEDULER].queue
    for _ in range(LOOKS):
        job = await store.job(job_id)
        if job.status is not Status.QUEUED:
            return job, None
        position = queue.position(job_id)
        if position is not None:
            return job, position
        await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
    # What the index has not heard of for so long comes after all that it knows.
    return job, len(queue)


def _queued(request: web.Request, job_id: str) -> web.Response:
    # An idle scheduler may have claimed it already: then nobody was before it.
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    return reply(
        {
            "job_id": job_id,
            "status": "queued",
            "position_in_queue": position,
            "message": f"Job queued successfully. Position in queue: {position}",
        }
    )


def _shown(
    job: Job, position: int | None, progress: Progress | None, forecast: Forecast
) -> dict[str, Any]:
    return {
        **asdict(job),
        "position_in_queue": position,
        "waiting_for": forecast.waiting_for,
        "eta_s": forecast.eta_s,
        "progress": progress and asdict(progress),
        "links": {"self": f"/jobs/{job.job_id}", "log": f"/jobs/{job.job_id}/log"},
    }
