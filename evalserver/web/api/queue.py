"""The queue, and the health of the server."""

from aiohttp import web

from evalserver.core.clock import timestamp, utc_now
from evalserver.core.lifecycle import Status
from evalserver.store import StoreUnavailable
from evalserver.web.http.responses import json_response
from evalserver.web.keys import HEALTH, QUERY, QUEUED_IDS, SCHEDULER, STORE
from evalserver.web.schemas.responses import Health as HealthStatus


async def get_queue(request: web.Request) -> web.Response:
    """``GET /queue``: what runs, what waits in which order, how many have ended.

    ``?limit=`` names only so many of those that wait; ``queue_size`` counts them all.
    """
    counts = await request.app[STORE].queries.count_by_status()
    scheduler = request.app[SCHEDULER]
    queue = {
        "queue_size": len(scheduler.queue),
        "running_job": next(iter(scheduler.running), None),
        "running_jobs": scheduler.running,
        "queued_jobs": request.app[QUEUED_IDS].json(scheduler.queue, request[QUERY].get("limit")),
        "completed_jobs": counts[Status.COMPLETED],
        "failed_jobs": counts[Status.FAILED],
        "cancelled_jobs": counts[Status.CANCELLED],
    }
    draining = scheduler.draining
    return json_response(queue if draining is None else {**queue, "draining": vars(draining)})


async def get_health(request: web.Request) -> web.Response:
    """``GET /health``: the health of the server; ``degraded`` with a reason during a fault.

    A draining server is healthy: it accepts jobs, but starts none.
    """
    reason = request.app[HEALTH].degraded_reason
    health = {
        "status": HealthStatus.HEALTHY if reason is None else HealthStatus.DEGRADED,
        "timestamp": timestamp(utc_now()),
        "queue_size": len(request.app[SCHEDULER].queue),
    }
    if reason is not None:
        health["reason"] = reason
    if request.app[SCHEDULER].draining is not None:
        health["draining"] = True
    return json_response(health)


async def get_liveness(request: web.Request) -> web.Response:
    """``GET /health/live``: the process responds."""
    return json_response({"status": "alive"})


async def get_readiness(request: web.Request) -> web.Response:
    """``GET /health/ready``: submissions are accepted; 503 with the reason if they are not."""
    reason = request.app[HEALTH].refusal_reason
    if reason is not None:
        raise StoreUnavailable(reason)
    return json_response({"status": "ready"})
