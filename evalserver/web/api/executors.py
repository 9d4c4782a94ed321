"""The executors: the server's own machine and its clusters, with their nodes and jobs."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from evalserver.core.job import LOCAL, Job
from evalserver.executors.base import ClusterNode, ExecutorError
from evalserver.scheduling.hand_over import HandOver
from evalserver.store import JobPruned, Store
from evalserver.web.http.responses import json_response
from evalserver.web.keys import SCHEDULER, STORE

MAX_NODES_SECONDS = 3.0
"""How long a page waits for a cluster that may not answer."""


async def get_executors(request: web.Request) -> web.Response:
    """``GET /executors``: where jobs can run, what runs and waits there, and the nodes of clusters.

    A cluster that cannot be reached has a ``fault``, and no nodes.
    """
    scheduler, store = request.app[SCHEDULER], request.app[STORE]
    there = {job_id for each in scheduler.hand_overs.values() for job_id in each.running}
    local = [job_id for job_id in scheduler.running if job_id not in there]
    clusters = await asyncio.gather(
        *(_cluster_json(store, each) for each in scheduler.hand_overs.values())
    )
    return json_response({"executors": [_local_json(local), *clusters]})


def _local_json(running: list[str]) -> dict[str, Any]:
    return {
        "name": LOCAL,
        "type": LOCAL,
        "fault": None,
        "max_handed_over": None,
        "jobs": [_job_json(job_id, "running") for job_id in running],
        "nodes": [],
    }


async def _cluster_json(store: Store, hand_over: HandOver) -> dict[str, Any]:
    cluster = hand_over.cluster
    fault, nodes = cluster.fault, []
    if fault is None:
        try:
            async with asyncio.timeout(MAX_NODES_SECONDS):
                nodes = [_node_json(node) for node in await cluster.nodes()]
        except ExecutorError as error:
            fault = str(error)
        except TimeoutError:
            fault = f"it did not name its nodes within {MAX_NODES_SECONDS:g} s"
    jobs = [
        *[await _job_there(store, hand_over, job_id, "running") for job_id in hand_over.running],
        *[await _job_there(store, hand_over, job_id, "queued") for job_id in hand_over.waiting],
    ]
    return {
        "name": hand_over.name,
        "type": cluster.kind,
        "fault": fault,
        "max_handed_over": cluster.max_handed_over,
        "jobs": jobs,
        "nodes": nodes,
    }


async def _job_there(store: Store, hand_over: HandOver, job_id: str, status: str) -> dict[str, Any]:
    try:
        job: Job = await store.queries.job(job_id)
    except JobPruned:
        return _job_json(job_id, status)
    if job.run_dir is None:
        return _job_json(job_id, status)
    run_dir = Path(job.run_dir)
    found = hand_over.cluster.find_job(run_dir)
    reason = hand_over.cluster.waiting_reason(run_dir) if status == "queued" else None
    return {**_job_json(job_id, status), **(vars(found) if found else {}), "reason": reason}


def _job_json(job_id: str, status: str) -> dict[str, Any]:
    return {"job_id": job_id, "status": status, "id": None, "command": None, "reason": None}


def _node_json(node: ClusterNode) -> dict[str, Any]:
    return {**vars(node), "partitions": list(node.partitions)}
