"""``GET /``: what runs now, what waits and why, and what ended lately."""

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from aiohttp import web

from evalserver.core.job import Job
from evalserver.store import JobPruned
from evalserver.web.api.jobs import placed
from evalserver.web.keys import HEALTH, SCHEDULER, STORE
from evalserver.web.pages.rendering import page, seen

MOST_WAITING = 12
MOST_ENDED = 12
"""Jobs that are shown; of those that wait, the rest is counted."""


async def get_home(request: web.Request) -> web.Response:
    """``GET /``: the lab's evaluations at a glance; it goes on by itself as they do."""
    store, scheduler = request.app[STORE], request.app[SCHEDULER]
    running = [scheduler.running_job] if scheduler.running_job else []
    ended = await store.last_finished(MOST_ENDED)
    return page(
        request,
        "home.html",
        running=await _shown(request, running),
        waiting=await _shown(request, islice(scheduler.queue, MOST_WAITING)),
        ended=[await seen(request, job, None) for job in ended],
        counts=await store.count_by_status(),
        queue_size=len(scheduler.queue),
        fault=request.app[HEALTH].refusal_reason,
        degraded=request.app[HEALTH].degraded_reason,
        draining=request.app[SCHEDULER].draining,
    )


async def _shown(request: web.Request, job_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The jobs as the API shows them; one that is gone meanwhile is left out."""
    jobs: list[tuple[Job, int | None]] = []
    for job_id in list(job_ids):
        with suppress(JobPruned):
            jobs.append(await placed(request, job_id))
    return [await seen(request, job, position) for job, position in jobs]
