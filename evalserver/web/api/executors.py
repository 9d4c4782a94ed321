"""The executors: the server's own machine and its clusters, with their nodes and jobs."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from evalserver.core.job import LOCAL, Job
from evalserver.core.lifecycle import Status
from evalserver.executors.base import ClusterNode, ExecutorError
from evalserver.scheduling.hand_over import HandOver
from evalserver.web.http.responses import json_response
from evalserver.web.keys import SCHEDULER, STORE

MAX_NODES_SECONDS = 3.0
"""How long a page waits for a cluster that may not answer."""


async def get_executors(request: web.Request) -> web.Response:
    """``GET /executors``: where jobs can run, what runs and waits there, and the nodes of clusters.

    A cluster that cannot be reached has a ``fault``, and no nodes.
    """
    hand_overs, queries = request.app[SCHEDULER].hand_overs, request.app[STORE].queries
    jobs = await queries.running()
    if hand_overs:
        jobs += await queries.handed_over()
    local = [_job_json(job) for job in jobs if job.executor not in hand_overs]
    clusters = await asyncio.gather(*(_cluster_json(each, jobs) for each in hand_overs.values()))
    return json_response({"executors": [_local_json(local), *clusters]})


def _local_json(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": LOCAL,
        "type": LOCAL,
        "fault": None,
        "max_handed_over": None,
        "jobs": jobs,
        "nodes": [],
        "node_states": {},
    }


async def _cluster_json(hand_over: HandOver, jobs: Iterable[Job]) -> dict[str, Any]:
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
    return {
        "name": hand_over.name,
        "type": cluster.kind,
        "fault": fault,
        "max_handed_over": cluster.max_handed_over,
        "jobs": [_job_there(hand_over, job) for job in jobs if job.executor == hand_over.name],
        "nodes": nodes,
        "node_states": dict(Counter(node["state"] for node in nodes).most_common()),
    }


def _job_there(hand_over: HandOver, job: Job) -> dict[str, Any]:
    found = hand_over.find_job(job)
    reason = None
    if job.status is Status.QUEUED and job.run_dir is not None:
        reason = hand_over.cluster.waiting_reason(Path(job.run_dir))
    return {**_job_json(job), **(vars(found) if found else {}), "reason": reason}


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "status": job.status,
        "id": None,
        "command": None,
        "node": None,
        "reason": None,
    }


def _node_json(node: ClusterNode) -> dict[str, Any]:
    return {**vars(node), "partitions": list(node.partitions)}
