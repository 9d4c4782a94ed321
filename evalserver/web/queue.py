"""The queue, and the server's health."""

from aiohttp import web

from evalserver.clock import timestamp, utc_now
from evalserver.lifecycle import Status
from evalserver.web.keys import SCHEDULER, STORE
from evalserver.web.replies import reply


async def get_queue(request: web.Request) -> web.Response:
    """``GET /queue``: what runs, what waits in which order, how many have ended."""
    counts = await request.app[STORE].count_by_status()
    scheduler = request.app[SCHEDULER]
    return reply(
        {
            "queue_size": len(scheduler.queue),
            "running_job": scheduler.running_job,
            "queued_jobs": list(scheduler.queue),
            "completed_jobs": counts[Status.COMPLETED],
            "failed_jobs": counts[Status.FAILED],
        }
    )


async def get_health(request: web.Request) -> web.Response:
    """``GET /health``: the server answers."""
    return reply(
        {
            "status": "healthy",
            "timestamp": timestamp(utc_now()),
            "queue_size": len(request.app[SCHEDULER].queue),
        }
    )
