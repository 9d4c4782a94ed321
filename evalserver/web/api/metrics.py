"""``GET /metrics``, and the clock that runs while a request waits for its answer."""

import asyncio
import time
from datetime import datetime

from aiohttp import hdrs, web

from evalserver.core.clock import utc_now
from evalserver.monitoring.prometheus import Levels
from evalserver.store import Store, StoreUnavailable
from evalserver.web.http.errors import Handler
from evalserver.web.keys import BUS, INSTRUMENTS, SCHEDULER, STORE

ARRIVED: web.RequestKey[float] = web.RequestKey("arrived")

UNMATCHED = "unmatched"
"""The route of a request to which no route belongs."""


async def get_metrics(request: web.Request) -> web.Response:
    """``GET /metrics``: what the server measures of itself, as Prometheus reads it."""
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, []))
    levels = await _levels(request.app)
    instruments = request.app[INSTRUMENTS]
    text, content_type = await asyncio.to_thread(instruments.exposition, levels, accept)
    return web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})


def measure_answers(app: web.Application) -> None:
    """Have the application note how long each request waits for the beginning of its answer."""
    app.middlewares.insert(0, _note_arrival)
    app.on_response_prepare.append(_note_answer)


def exclude_wait_from_latency(request: web.Request) -> None:
    """Count from now on: until now the client had asked to wait."""
    request[ARRIVED] = time.perf_counter()


@web.middleware
async def _note_arrival(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[ARRIVED] = time.perf_counter()
    return await handler(request)


async def _note_answer(request: web.Request, response: web.StreamResponse) -> None:
    # Before the first byte of it: how long a stream stays open is its reader's affair.
    route = request.match_info.route
    pattern = UNMATCHED if route.resource is None else route.resource.canonical
    now = time.perf_counter()
    # A refused Expect is answered before anybody has looked at the clock.
    seconds = now - request.get(ARRIVED, now)
    request.app[INSTRUMENTS].on_response(route.method, pattern, response.status, seconds)


async def _levels(app: web.Application) -> Levels:
    scheduler, store = app[SCHEDULER], app[STORE]
    try:
        jobs, age, readable = await store.count_by_status(), await _oldest_age(store), True
    except StoreUnavailable:
        jobs, age, readable = {}, 0.0, False
    return Levels(
        jobs=jobs,
        queue_size=len(scheduler.queue),
        oldest_age_s=age,
        draining=scheduler.draining is not None,
        running=len(scheduler.running),
        fault=not readable or store.fault is not None,
        streams=len(app[BUS]),
    )


async def _oldest_age(store: Store) -> float:
    oldest = await store.oldest_queued()
    if oldest is None:
        return 0.0
    return max(0.0, (utc_now() - datetime.fromisoformat(oldest)).total_seconds())
