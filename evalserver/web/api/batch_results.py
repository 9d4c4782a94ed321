"""The metrics of the jobs of a batch: in pages, or as one table for spreadsheets."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import structlog
from aiohttp import hdrs, web
from marshmallow import ValidationError, post_load

from evalserver.store import JobMetrics
from evalserver.web.api.results import COLUMNS, ResultsQuerySchema
from evalserver.web.http.cursors import InvalidCursor, read_cursor, write_cursor
from evalserver.web.http.responses import json_response
from evalserver.web.http.spreadsheets import csv_text
from evalserver.web.keys import QUERY, STORE
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.query_fields import QueryInteger
from evalserver.web.security.authorization import is_still_authorized

log = structlog.get_logger("evalserver.web")

DEFAULT_LIMIT, MAX_LIMIT = 100, 500
"""Jobs per page."""
JOBS_OF_A_PIECE = 50
"""Jobs of a table that are read, and sent, at once."""

FIRST_COLUMNS = ("job_id", "status", "model", "labels")


class BatchResultsQuerySchema(ResultsQuerySchema):
    """The query of ``GET /batches/{batch_id}/results``."""

    limit = QueryInteger(
        1, MAX_LIMIT, load_default=DEFAULT_LIMIT, metadata=about("Finished jobs per page.")
    )
    cursor = Text(longest=64, metadata=about("The `next` of the previous page."))

    @post_load
    def _to_position(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        cursor = data.pop("cursor", None)
        try:
            after = 0 if cursor is None else read_cursor(cursor, b"batch results")
        except InvalidCursor:
            fault = "Must be the 'next' of a response of this route; leave it out to start again."
            raise ValidationError(fault, "cursor") from None
        return {**data, "after": after}


async def get_batch_results(request: web.Request) -> web.StreamResponse:
    """``GET /batches/{batch_id}/results``: one row per job, task, metric and filter.

    Of the jobs that have finished, also of pruned ones; ``?format=csv`` returns all of them.
    """
    batch_id, batches = request.match_info["batch_id"], request.app[STORE].batches
    await batches.batch(batch_id)
    if request[QUERY].get("format") == "csv":
        return await _send_table(request, batch_id)
    limit = request[QUERY]["limit"]
    jobs = await batches.results(batch_id, limit + 1, request[QUERY]["after"])
    more = len(jobs) > limit
    next_page = write_cursor(jobs[limit - 1].seq, b"batch results") if more else None
    body = {"batch_id": batch_id, "results": list(_rows(jobs[:limit])), "next": next_page}
    return await asyncio.to_thread(json_response, body)


def _rows(jobs: Iterable[JobMetrics]) -> Iterable[dict[str, Any]]:
    for job in jobs:
        first = {name: getattr(job, name) for name in FIRST_COLUMNS}
        for metric in job.metrics:
            yield {**first, **asdict(metric)}


async def _send_table(request: web.Request, batch_id: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/csv; charset=utf-8"})
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    batches, after = request.app[STORE].batches, 0
    try:
        await response.write(csv_text([(*FIRST_COLUMNS, *COLUMNS)]).encode())
        while is_still_authorized(request) and (
            jobs := await batches.results(batch_id, JOBS_OF_A_PIECE, after)
        ):
            after = jobs[-1].seq
            await response.write(await asyncio.to_thread(_csv_of, jobs))
        await response.write_eof()
    except ConnectionError:
        log.debug("a client disconnected while results were sent", batch=batch_id)
    return response


def _csv_of(jobs: Iterable[JobMetrics]) -> bytes:
    rows = (
        [
            *(row["job_id"], row["status"], row["model"], _labels_text(row["labels"])),
            *(row[name] for name in COLUMNS),
        ]
        for row in _rows(jobs)
    )
    return csv_text(rows).encode()


def _labels_text(labels: dict[str, str]) -> str:
    return "; ".join(f"{name}={text}" for name, text in labels.items())
