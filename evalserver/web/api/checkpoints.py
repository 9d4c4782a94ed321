"""``GET /checkpoints``: which unfinished jobs need a checkpoint."""

from pathlib import Path
from typing import Any

from aiohttp import web

from evalserver.checkpoints.leases.needs import Need
from evalserver.core.masking import mask_text
from evalserver.web.http.responses import json_response
from evalserver.web.keys import LEASES, QUERY, STORE


async def get_checkpoints(request: web.Request) -> web.Response:
    """``GET /checkpoints``: the queued and running jobs that need a path, or something below or
    above it.

    So does a job that will be tried again if its attempt fails, and one that merges the checkpoint.
    A job with a lease of its own files (`link`, `copy`) needs these, not the path that it was
    submitted with. The answer holds for the moment: a job may be submitted right after it.
    """
    path = Path(request[QUERY]["path"])
    found = await _find_needs(request, path)
    return json_response(
        {
            "path": str(path),
            "in_use": bool(found),
            "jobs": [_need_json(need) for need in found],
        }
    )


async def _find_needs(request: web.Request, path: Path) -> list[Need]:
    queries, leases = request.app[STORE].queries, request.app[LEASES]
    found: list[Need] = []
    last = 0
    while jobs := await queries.next_unfinished(last):
        found += await leases.needs_among(jobs, path)
        last = jobs[-1].seq
    return found


def _need_json(need: Need) -> dict[str, Any]:
    job = need.job
    return {
        "job_id": job.job_id,
        "status": job.status,
        "path": mask_text(str(need.path)),
        "relation": need.relation,
        "lease": job.lease,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "series": job.series,
        "step": job.step,
    }
