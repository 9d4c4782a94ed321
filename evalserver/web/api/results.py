"""The metrics of a completed job, and those that a failed job has."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from http import HTTPStatus

from aiohttp import web
from marshmallow import fields, validate

from evalserver.core.job import Job, Metric
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.store import Store
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.responses import json_response
from evalserver.web.http.spreadsheets import csv_text
from evalserver.web.keys import QUERY, STORE
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.queries import StrictSchema

COLUMNS = (
    "task", "metric", "filter", "value", "stderr", "n", "higher_is_better", "task_version",
    "num_fewshot",
)  # fmt: skip


class ResultsQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/results``."""

    format = fields.String(
        validate=validate.OneOf(("json", "csv"), error="Must be json or csv."),
        metadata=about("`csv` returns the same table for spreadsheets."),
    )


async def get_results(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}/results``: one row per task, metric and filter.

    The rows of a failed job are those that it has; without any, and of a job that has not finished,
    409. The results of a pruned job are kept.
    """
    store, job_id = request.app[STORE], request.match_info["job_id"]
    job, metrics = await _load(store.queries.with_pruned, store, job_id, {Status.FAILED})
    if request[QUERY].get("format") == "csv":
        return _csv_response(job, metrics)
    result = job.result or {}
    failed_requests = [part.get("failed_requests") for part in result.values()]
    return json_response(
        {
            "job_id": job.job_id,
            "status": job.status,
            "attempt": job.attempt,
            "complete": job.status is Status.COMPLETED,
            "pruned": job.pruned_at is not None,
            "model": job.request.model,
            "model_names": list(result),
            "engine": job.engine,
            "tasks": job.request.tasks,
            "labels": job.labels,
            "series": job.series,
            "step": job.step,
            "created_at": job.created_at,
            "completed_at": job.completed_at,
            "failed_requests": next(filter(None, failed_requests), None),
            "results": metrics,
        }
    )


async def load_requested_job(request: web.Request) -> tuple[Job, list[Metric]]:
    """Return the job that the path names, and its metrics.

    Raises JobNotFound, JobPruned, and BadRequest (409) with the reason if it is not completed.
    """
    return await load_job_with_files(request.app[STORE], request.match_info["job_id"])


async def load_job_with_files(store: Store, job_id: str) -> tuple[Job, list[Metric]]:
    """Return a completed job that was not pruned, and its metrics.

    Raises as ``load_requested_job``.
    """
    return await _load(store.queries.job, store, job_id)


async def load_results(store: Store, job_id: str) -> tuple[Job, list[Metric]]:
    """Return a completed job, or what is kept of a pruned one, and its metrics.

    Raises as ``load_requested_job``.
    """
    return await _load(store.queries.with_pruned, store, job_id)


async def _load(
    read_job: Callable[[str], Awaitable[Job]],
    store: Store,
    job_id: str,
    with_numbers: Collection[Status] = (),
) -> tuple[Job, list[Metric]]:
    """Return a job and its metrics. It must be completed, or have one of the statuses
    ``with_numbers`` and at least one number."""
    job = await read_job(job_id)
    metrics = await store.queries.metrics(job_id) if job.status in FINISHED else []
    if metrics and job.status in with_numbers:
        return job, metrics
    _require_completed(job)
    if not metrics:
        # The job may have been retried between the two reads, which removes its metrics.
        job = await read_job(job_id)
        _require_completed(job)
    return job, metrics


def _require_completed(job: Job) -> None:
    if job.status is Status.COMPLETED:
        return
    if job.status not in FINISHED:
        raise _conflict_error(
            f"Job {job.job_id} is {job.status}; it has results once it is completed"
        )
    why = f": {job.error.splitlines()[0]}" if job.error else ""
    verb = "was cancelled" if job.status is Status.CANCELLED else "failed"
    raise _conflict_error(f"Job {job.job_id} {verb}, so it has no results{why}")


def _conflict_error(detail: str) -> BadRequest:
    return BadRequest(HTTPStatus.CONFLICT, detail)


def _csv_response(job: Job, metrics: Sequence[Metric]) -> web.Response:
    head = ("job_id", "model", *COLUMNS)
    rows = (
        (job.job_id, job.request.model, *(getattr(metric, name) for name in COLUMNS))
        for metric in metrics
    )
    text = csv_text([head, *rows])
    return web.Response(text=text, content_type="text/csv", charset="utf-8")
