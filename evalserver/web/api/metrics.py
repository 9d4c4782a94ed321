"""``GET /metrics``, and the measurement of latencies of requests."""

import asyncio
import time
from datetime import datetime

from aiohttp import hdrs, web

from evalserver.core.clock import utc_now
from evalserver.executors.warm import ParentStatus
from evalserver.monitoring.cluster_metrics import ClusterValues
from evalserver.monitoring.gpu_metrics import GpuValues
from evalserver.monitoring.prometheus import GaugeValues
from evalserver.monitoring.warm_metrics import WarmValues
from evalserver.scheduling.hand_over import HandOver
from evalserver.store import Store, StoreUnavailable
from evalserver.web.api.gpus import gpus_json
from evalserver.web.keys import BUS, INSTRUMENTS, SCHEDULER, STORE, WARM_PARENTS

ARRIVED: web.RequestKey[float] = web.RequestKey("arrived")

GPU = ("id", "status", "memory_used", "memory_total", "utilization", "temperature")
"""What the gauges have of ``GET /gpus``."""

UNMATCHED_ROUTE = "unmatched"
"""The label of requests that match no route."""


async def get_metrics(request: web.Request) -> web.Response:
    """``GET /metrics``: the metrics of the server, for Prometheus."""
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, []))
    levels = await _read_levels(request.app)
    instruments = request.app[INSTRUMENTS]
    text, content_type = await asyncio.to_thread(instruments.exposition, levels, accept)
    return web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})


def record_arrival(request: web.Request) -> None:
    """Begin to measure the time until the beginning of the response."""
    request[ARRIVED] = time.perf_counter()


def exclude_wait_from_latency(request: web.Request) -> None:
    """Restart the measurement, since the client had asked to wait until now."""
    request[ARRIVED] = time.perf_counter()


def record_latency(request: web.Request, response: web.StreamResponse) -> None:
    """Record the time until the beginning of the response: the client determines how long a stream
    stays open."""
    route = request.match_info.route
    pattern = UNMATCHED_ROUTE if route.resource is None else route.resource.canonical
    now = time.perf_counter()
    # A rejected Expect header is answered before the middleware runs.
    seconds = now - request.get(ARRIVED, now)
    request.app[INSTRUMENTS].on_response(route.method, pattern, response.status, seconds)


async def _read_levels(app: web.Application) -> GaugeValues:
    scheduler, store = app[SCHEDULER], app[STORE]
    try:
        jobs, age, stalled, gpus, messages, readable = (
            await store.queries.count_by_status(),
            await _oldest_queued_age(store),
            await store.queries.count_stalled(),
            await _gpu_values(app),
            await store.webhooks.count_messages(),
            True,
        )
    except StoreUnavailable:
        jobs, age, stalled, gpus, messages, readable = {}, 0.0, 0, [], {}, False
    return GaugeValues(
        jobs=jobs,
        queue_size=len(scheduler.queue),
        oldest_age_s=age,
        draining=scheduler.draining is not None,
        running=len(scheduler.running),
        stalled=stalled,
        fault=not readable or store.fault is not None,
        streams=len(app[BUS]),
        gpus=gpus,
        clusters=[_cluster_values(each) for each in scheduler.hand_overs.values()],
        webhook_messages=messages,
        warm_parents=[_warm_values(each) for each in await app[WARM_PARENTS].status()],
    )


def _warm_values(parent: ParentStatus) -> WarmValues:
    if parent.memory is None:
        return WarmValues(parent.engine, parent.state.value)
    memory = parent.memory
    return WarmValues(parent.engine, parent.state.value, memory.resident, memory.shared)


def _cluster_values(hand_over: HandOver) -> ClusterValues:
    return ClusterValues(
        hand_over.name,
        hand_over.cluster.fault is None,
        len(hand_over.waiting),
        len(hand_over.running),
    )


async def _gpu_values(app: web.Application) -> list[GpuValues]:
    return [
        GpuValues(quarantined=each["quarantine"] is not None, **{name: each[name] for name in GPU})
        for each in await gpus_json(app)
    ]


async def _oldest_queued_age(store: Store) -> float:
    oldest = await store.queries.oldest_queued()
    if oldest is None:
        return 0.0
    return max(0.0, (utc_now() - datetime.fromisoformat(oldest)).total_seconds())
