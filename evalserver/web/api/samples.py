"""Pages of a completed job's samples: the model's answers, and whether they were right."""

import asyncio
import base64
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from aiohttp import web
from marshmallow import fields, validate

from evalserver.core.job import Job, Metric
from evalserver.core.result_check import FindingCode
from evalserver.core.task_names import with_colon
from evalserver.engines import Engine, Verdict
from evalserver.outputs import (
    ArtifactNotFound,
    InvalidPosition,
    LinePosition,
    MetricNotBinary,
    Sample,
    SamplesFilter,
    SamplesPage,
    choose_metric,
    open_artifact,
    read_page,
)
from evalserver.web.api.results import load_requested_job
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.http.responses import dump
from evalserver.web.keys import ENGINES, QUERY
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import QueryInteger

MAX_SAMPLES = 500
DEFAULT_SAMPLES = 50
"""Samples per page: maximum, and default."""

OF_SAMPLES = (FindingCode.MISSING_SAMPLES, FindingCode.UNREADABLE_SAMPLES)

MAX_NAMES_IN_ERROR = 20
"""Maximum names that an error message lists."""

CURSOR = re.compile(rb"([0-9a-f]{1,8})\.(\d{1,18})\.(\d{1,18})\.([01])")


class SamplesQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/samples/{task}``."""

    limit = QueryInteger(1, MAX_SAMPLES, metadata=about("Samples per page, by default 50."))
    cursor = Text(longest=256, metadata=about("The `next` of the previous page."))
    # Not named ``only``, which is an attribute of schemas.
    verdict = fields.String(
        data_key="only",
        attribute="only",
        validate=validate.OneOf((Verdict.RIGHT, Verdict.WRONG), error="Must be right or wrong."),
        metadata=about("Only samples that are right, or wrong, according to a metric."),
    )
    metric = Text(longest=256, metadata=about("The metric that decides which samples are right."))
    filter = Text(longest=256, metadata=about("Only samples that were scored with this filter."))


@dataclass(frozen=True)
class _SamplesQuery:
    """A request for a page of samples; ``metrics`` are those of the task."""

    job: Job
    engine: Engine
    task: str
    file: Path
    metrics: Sequence[Metric]
    query: Mapping[str, Any]


async def get_samples(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}/samples/{task}``: a page of samples, in the order of the file."""
    job, metrics = await load_requested_job(request)
    engine, task = request.app[ENGINES][job.engine], with_colon(request.match_info["task"])
    file = find_samples_file(job, engine, task)
    of_task = [metric for metric in metrics if metric.task == task]
    samples_query = _SamplesQuery(job, engine, task, file, of_task, request[QUERY])
    _require_known(samples_query, "metric", {metric.metric for metric in of_task})
    _require_known(samples_query, "filter", {metric.filter for metric in of_task})
    body, next_cursor = await asyncio.to_thread(
        _page_body, samples_query, _start_position(samples_query)
    )
    response = web.Response(body=body, content_type="application/json")
    if next_cursor is not None:
        response.headers["Link"] = (
            f'<{request.rel_url.update_query(cursor=next_cursor)}>; rel="next"'
        )
    return response


def open_samples(job: Job, path: Path) -> BinaryIO:
    """Open a samples file of a job's last attempt. Raises ArtifactNotFound."""
    output_dir = Path(job.output_dir or "")
    try:
        return open_artifact(output_dir, str(path.relative_to(output_dir)))
    except ValueError:
        raise ArtifactNotFound(str(path)) from None


def find_samples_file(job: Job, engine: Engine, task: str) -> Path:
    """Return the path of a job's samples of a task. Raises BadRequest (404), which says what the
    job has."""
    files = engine.samples_files(job.result or {})
    if task in files:
        return files[task]
    if not files and not job.request.log_samples:
        raise _not_found_error(
            f"Job {job.job_id} has no samples: its request has log_samples false"
        )
    if not files:
        raise _not_found_error(f"Job {job.job_id} has no samples: its harness wrote none")
    raise _not_found_error(
        f"Job {job.job_id} has no samples of {task!r}; it has those of {_join_names(files)}. "
        "Samples of a group of tasks are stored per task"
    )


def _require_known(samples_query: _SamplesQuery, field: str, known: set[str]) -> None:
    name = samples_query.query.get(field)
    if name is not None and name not in known:
        there = f"it has {_join_names(known)}" if known else "it has none"
        raise invalid_field_error(
            field, f"The task {samples_query.task} has no {field} {name!r}; {there}."
        )


def _start_position(samples_query: _SamplesQuery) -> LinePosition:
    text = samples_query.query.get("cursor")
    return LinePosition() if text is None else _parse_cursor(samples_query, text)


def _page_body(samples_query: _SamplesQuery, start: LinePosition) -> tuple[bytes, str | None]:
    """Return the response body, and the cursor of the next page."""
    page, metric = _read_page(samples_query, start)
    next_cursor = None if page.next is None else _write_cursor(samples_query, page.next)
    body = {
        "job_id": samples_query.job.job_id,
        "attempt": samples_query.job.attempt,
        "task": samples_query.task,
        "metric": metric,
        "samples": [_sample_json(sample) for sample in page.samples],
        "undecided": page.undecided,
        "findings": find_oddities(samples_query.job, samples_query.task),
        "next": next_cursor,
    }
    return dump(body), next_cursor


def find_oddities(job: Job, task: str) -> list[dict[str, Any]]:
    """Return what the check of the results found odd about the samples of a task."""
    return [
        {"task": each.task, "code": each.code, "message": each.message}
        for each in (() if job.result_check is None else job.result_check.findings)
        if each.task == task and each.code in OF_SAMPLES
    ]


def _read_page(samples_query: _SamplesQuery, start: LinePosition) -> tuple[SamplesPage, str | None]:
    """Read the page; also return the metric that decides which samples are right."""
    query = samples_query.query
    only = Verdict(query["only"]) if "only" in query else None
    judging = sorted({each.metric for each in samples_query.metrics if each.higher_is_better})
    # With only one filter, a harness may not write its name.
    several = len({each.filter for each in samples_query.metrics}) > 1
    behind = query.get("filter") if several else None
    try:
        with _open_samples(samples_query) as file:
            metric = choose_metric(file, samples_query.engine, judging, query.get("metric"))
            if only and metric is None:
                raise MetricNotBinary([])
            wanted = SamplesFilter(query.get("limit", DEFAULT_SAMPLES), metric, only, behind)
            return read_page(file, samples_query.engine, wanted, start), metric
    except MetricNotBinary as error:
        raise _not_judged_error(samples_query, error.binary_metrics) from None
    except InvalidPosition:
        raise _invalid_cursor_error() from None


def _open_samples(samples_query: _SamplesQuery) -> BinaryIO:
    try:
        return open_samples(samples_query.job, samples_query.file)
    except ArtifactNotFound:
        raise BadRequest(
            HTTPStatus.GONE,
            f"The samples of {samples_query.task} were removed after the evaluation: "
            f"the file {samples_query.file} no longer exists",
        ) from None


def _sample_json(sample: Sample) -> dict[str, Any]:
    line = sample.line
    return {
        "index": line.index,
        "doc_id": line.doc_id,
        "right": sample.right,
        "problem": line.problem,
        # Exactly as the harness wrote it.
        "sample": None if line.text is None else orjson.Fragment(line.text),
    }


def _write_cursor(samples_query: _SamplesQuery, place: LinePosition) -> str:
    text = f"{_query_hash(samples_query):x}.{place.offset}.{place.line}.{place.inside:d}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(samples_query: _SamplesQuery, cursor: str) -> LinePosition:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise _invalid_cursor_error() from None
    found = CURSOR.fullmatch(text)
    if found is None or int(found[1], 16) != _query_hash(samples_query):
        raise _invalid_cursor_error()
    return LinePosition(int(found[2]), int(found[3]), found[4] == b"1")


def _query_hash(samples_query: _SamplesQuery) -> int:
    """Return a hash of what a cursor belongs to: an attempt and a task."""
    return zlib.crc32(
        f"{samples_query.job.job_id}/{samples_query.job.attempt}/{samples_query.task}".encode()
    )


def _not_judged_error(samples_query: _SamplesQuery, able: Sequence[str]) -> BadRequest:
    others = f" Possible metrics of this task: {_join_names(able)}." if able else ""
    if "metric" not in samples_query.query:
        return invalid_field_error(
            "only", f"No metric of {samples_query.task} decides which samples are right."
        )
    return invalid_field_error(
        "metric",
        f"{samples_query.query['metric']} does not decide which samples are right: it has values"
        f" other than 0 and 1, or higher is not better.{others}",
    )


def _invalid_cursor_error() -> BadRequest:
    return invalid_field_error(
        "cursor", "Must be the 'next' of a page of the same samples; leave it out to start again."
    )


def invalid_field_error(field: str, message: str) -> BadRequest:
    """Return the error of a field of the query."""
    return BadRequest(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"The request is invalid. Please correct: {field}",
        (FieldError(field, message),),
    )


def _not_found_error(detail: str) -> BadRequest:
    return BadRequest(HTTPStatus.NOT_FOUND, detail)


def _join_names(names: Collection[str]) -> str:
    more = f" and {len(names) - MAX_NAMES_IN_ERROR} more" if len(names) > MAX_NAMES_IN_ERROR else ""
    return ", ".join(sorted(names)[:MAX_NAMES_IN_ERROR]) + more
