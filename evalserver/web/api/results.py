"""The numbers of a completed job."""

import csv
import io
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from marshmallow import fields, validate

from evalserver.core.job import Job, Metric
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.store import Store
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.responses import json_response
from evalserver.web.keys import QUERY, STORE
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.queries import StrictSchema

COLUMNS = ("task", "metric", "filter", "value", "stderr", "n", "higher_is_better")

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a text instead of showing it."""


class ResultsQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/results``."""

    format = fields.String(
        validate=validate.OneOf(("json", "csv"), error="Must be json or csv."),
        metadata=about("`csv` is the same table for a spreadsheet."),
    )


async def get_results(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}/results``: one row a task, metric and filter; 409 unless completed."""
    job, metrics = await completed_job(request)
    if request[QUERY].get("format") == "csv":
        return _as_csv(job, metrics)
    result = job.result or {}
    failed_requests = [part.get("failed_requests") for part in result.values()]
    return json_response(
        {
            "job_id": job.job_id,
            "status": job.status,
            "attempt": job.attempt,
            "model": job.request.model,
            "model_names": list(result),
            "failed_requests": next(filter(None, failed_requests), None),
            "results": metrics,
        }
    )


async def completed_job(request: web.Request) -> tuple[Job, list[Metric]]:
    """The job that the path names, and its numbers.

    Raises JobNotFound, JobPruned, and BadRequest (409) with the reason when it is not completed.
    """
    return await completed(request.app[STORE], request.match_info["job_id"])


async def completed(store: Store, job_id: str) -> tuple[Job, list[Metric]]:
    """A completed job and its numbers; raises as ``completed_job``."""
    job = await store.job(job_id)
    _require_completed(job)
    metrics = await store.metrics(job_id)
    if not metrics:
        # They went when the job was queued again, between the two questions.
        job = await store.job(job_id)
        _require_completed(job)
    return job, metrics


def _require_completed(job: Job) -> None:
    if job.status is Status.COMPLETED:
        return
    if job.status not in FINISHED:
        raise _conflict(f"Job {job.job_id} is {job.status}; it has results once it is completed")
    why = f": {job.error.splitlines()[0]}" if job.error else ""
    verb = "was cancelled" if job.status is Status.CANCELLED else "failed"
    raise _conflict(f"Job {job.job_id} {verb}, so it has no results{why}")


def _conflict(detail: str) -> BadRequest:
    return BadRequest(HTTPStatus.CONFLICT, detail)


def _as_csv(job: Job, metrics: Sequence[Metric]) -> web.Response:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("job_id", "model", *COLUMNS))
    for metric in metrics:
        cells = (job.job_id, job.request.model, *(getattr(metric, name) for name in COLUMNS))
        rows.writerow([as_cell(value) for value in cells])
    return web.Response(text=text.getvalue(), content_type="text/csv", charset="utf-8")


def as_cell(value: Any) -> Any:
    """A value for a spreadsheet, which would run some texts as formulas."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
