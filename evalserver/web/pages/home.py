"""``GET /``: running, queued and recently finished jobs."""

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from aiohttp import web

from evalserver.core.job import LOCAL, Job
from evalserver.scheduling.forecast import running_text
from evalserver.store import JobPruned
from evalserver.web.api.executors import get_executors
from evalserver.web.api.gpus import get_gpus
from evalserver.web.api.jobs import job_with_position
from evalserver.web.keys import HEALTH, RETENTION, SCHEDULER, STORE
from evalserver.web.pages.rendering import call_api, job_json, render_page

MAX_RUNNING = 24
MAX_QUEUED = 12
MAX_FINISHED = 12
"""How many jobs of each kind are listed."""
MAX_THERE = 24
"""How many nodes and jobs of a cluster are listed."""


async def get_home(request: web.Request) -> web.Response:
    """``GET /``: an overview of all jobs, updated live."""
    store, scheduler = request.app[STORE], request.app[SCHEDULER]
    running = scheduler.running
    finished = await store.queries.last_finished(MAX_FINISHED)
    return render_page(
        request,
        "home.html",
        managed_gpus=(await call_api(request, get_gpus))["gpus"],
        clusters=await _load_clusters(request),
        running=await _load_jobs(request, running[:MAX_RUNNING]),
        number_running=len(running),
        max_there=MAX_THERE,
        running_text=running_text(running) if running else "-",
        queued=await _load_jobs(request, islice(scheduler.queue, MAX_QUEUED)),
        finished=[await job_json(request, job, None) for job in finished],
        counts=await store.queries.count_by_status(),
        queue_size=len(scheduler.queue),
        fault=request.app[HEALTH].refusal_reason,
        degraded=request.app[HEALTH].degraded_reason,
        draining=request.app[SCHEDULER].draining,
        retention=request.app[RETENTION],
    )


async def _load_clusters(request: web.Request) -> list[dict[str, Any]]:
    if not request.app[SCHEDULER].hand_overs:
        return []
    executors = (await call_api(request, get_executors))["executors"]
    return [each for each in executors if each["type"] != LOCAL]


async def _load_jobs(request: web.Request, job_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return the jobs in the API's form, without those that were pruned meanwhile."""
    jobs: list[tuple[Job, int | None]] = []
    for job_id in list(job_ids):
        with suppress(JobPruned):
            jobs.append(await job_with_position(request, job_id))
    return [await job_json(request, job, position) for job, position in jobs]
