"""Pages of a completed job's samples: what the model answered, and whether that was right."""

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
from evalserver.web.api.results import completed_job
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.http.responses import dump
from evalserver.web.keys import ENGINES, QUERY
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import QueryInteger

MOST_SAMPLES = 500
USUAL_SAMPLES = 50
"""In a page: at the most, and if the client does not say."""

MOST_NAMED = 20
"""Tasks and metrics that an error names."""

CURSOR = re.compile(rb"([0-9a-f]{1,8})\.(\d{1,18})\.(\d{1,18})\.([01])")


class SamplesQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/samples/{task}``."""

    limit = QueryInteger(1, MOST_SAMPLES, metadata=about("Samples of a page, else 50."))
    cursor = Text(longest=256, metadata=about("The `next` of the page before."))
    # Schemas have an attribute ``only`` of their own.
    verdict = fields.String(
        data_key="only",
        attribute="only",
        validate=validate.OneOf((Verdict.RIGHT, Verdict.WRONG), error="Must be right or wrong."),
        metadata=about("Only the samples that a metric calls so."),
    )
    metric = Text(longest=256, metadata=about("Which metric says what is right."))
    filter = Text(longest=256, metadata=about("Only what was judged behind this filter."))


@dataclass(frozen=True)
class _Asked:
    """A question for a page, and what it is about; ``metrics`` are those of the task."""

    job: Job
    engine: Engine
    task: str
    file: Path
    metrics: Sequence[Metric]
    query: Mapping[str, Any]


async def get_samples(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}/samples/{task}``: a page, in the order of the harness's file."""
    job, metrics = await completed_job(request)
    engine, task = request.app[ENGINES][job.engine], request.match_info["task"]
    file = _samples_file(job, engine, task)
    of_task = [metric for metric in metrics if metric.task == task]
    asked = _Asked(job, engine, task, file, of_task, request[QUERY])
    _require_known(asked, "metric", {metric.metric for metric in of_task})
    _require_known(asked, "filter", {metric.filter for metric in of_task})
    body, following = await asyncio.to_thread(_page, asked, _start(asked))
    response = web.Response(body=body, content_type="application/json")
    if following is not None:
        response.headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
    return response


def open_samples(job: Job, path: Path) -> BinaryIO:
    """Open a samples file of a job's last attempt. Raises ArtifactNotFound."""
    output_dir = Path(job.output_dir or "")
    try:
        return open_artifact(output_dir, str(path.relative_to(output_dir)))
    except ValueError:
        raise ArtifactNotFound(str(path)) from None


def _samples_file(job: Job, engine: Engine, task: str) -> Path:
    files = engine.samples_files(job.result or {})
    if task in files:
        return files[task]
    if not files and not job.request.log_samples:
        raise _not_found(f"Job {job.job_id} kept no samples: its request has log_samples false")
    if not files:
        raise _not_found(f"Job {job.job_id} has no samples: its harness wrote none")
    raise _not_found(
        f"Job {job.job_id} has no samples of {task!r}; it has those of {_named(files)}. "
        "Samples of a group of tasks are kept by task"
    )


def _require_known(asked: _Asked, field: str, known: set[str]) -> None:
    name = asked.query.get(field)
    if name is not None and name not in known:
        there = f"it has {_named(known)}" if known else "it has none"
        raise _refused(field, f"The task {asked.task} has no {field} {name!r}; {there}.")


def _start(asked: _Asked) -> LinePosition:
    text = asked.query.get("cursor")
    return LinePosition() if text is None else _place(asked, text)


def _page(asked: _Asked, start: LinePosition) -> tuple[bytes, str | None]:
    """The answer, and the cursor of the next page."""
    page, metric = _read(asked, start)
    following = None if page.next is None else _cursor(asked, page.next)
    body = {
        "job_id": asked.job.job_id,
        "attempt": asked.job.attempt,
        "task": asked.task,
        "metric": metric,
        "samples": [_shown(sample) for sample in page.samples],
        "undecided": page.undecided,
        "next": following,
    }
    return dump(body), following


def _read(asked: _Asked, start: LinePosition) -> tuple[SamplesPage, str | None]:
    """The page, and the metric that says in it who was right."""
    query = asked.query
    only = Verdict(query["only"]) if "only" in query else None
    judging = sorted({each.metric for each in asked.metrics if each.higher_is_better})
    # Where there is but one filter, a harness need not write down which.
    several = len({each.filter for each in asked.metrics}) > 1
    behind = query.get("filter") if several else None
    try:
        with _open(asked) as file:
            metric = choose_metric(file, asked.engine, judging, query.get("metric"))
            if only and metric is None:
                raise MetricNotBinary([])
            wanted = SamplesFilter(query.get("limit", USUAL_SAMPLES), metric, only, behind)
            return read_page(file, asked.engine, wanted, start), metric
    except MetricNotBinary as error:
        raise _not_judged(asked, error.binary_metrics) from None
    except InvalidPosition:
        raise _no_such_place() from None


def _open(asked: _Asked) -> BinaryIO:
    try:
        return open_samples(asked.job, asked.file)
    except ArtifactNotFound:
        raise BadRequest(
            HTTPStatus.GONE,
            f"The samples of {asked.task} were removed after the evaluation: "
            f"there is no file {asked.file} any more",
        ) from None


def _shown(sample: Sample) -> dict[str, Any]:
    line = sample.line
    return {
        "index": line.index,
        "doc_id": line.doc_id,
        "right": sample.right,
        "problem": line.problem,
        # As the harness wrote it: nothing is lost on the way.
        "sample": None if line.text is None else orjson.Fragment(line.text),
    }


def _cursor(asked: _Asked, place: LinePosition) -> str:
    text = f"{_origin(asked):x}.{place.offset}.{place.line}.{place.inside:d}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(asked: _Asked, cursor: str) -> LinePosition:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise _no_such_place() from None
    found = CURSOR.fullmatch(text)
    if found is None or int(found[1], 16) != _origin(asked):
        raise _no_such_place()
    return LinePosition(int(found[2]), int(found[3]), found[4] == b"1")


def _origin(asked: _Asked) -> int:
    """What a cursor belongs to: this task's samples of this attempt."""
    return zlib.crc32(f"{asked.job.job_id}/{asked.job.attempt}/{asked.task}".encode())


def _not_judged(asked: _Asked, able: Sequence[str]) -> BadRequest:
    others = f" Of this task, {_named(able)} can be chosen." if able else ""
    if "metric" not in asked.query:
        return _refused("only", f"No metric of {asked.task} says of each sample who was right.")
    return _refused(
        "metric",
        f"{asked.query['metric']} does not say of each sample who was right: it has other values "
        f"than 0 and 1, or more of it is not better.{others}",
    )


def _no_such_place() -> BadRequest:
    return _refused("cursor", "Must be the 'next' of a page of the same samples; leave it out.")


def _refused(field: str, message: str) -> BadRequest:
    return BadRequest(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"The request was refused. Please correct: {field}",
        (FieldError(field, message),),
    )


def _not_found(detail: str) -> BadRequest:
    return BadRequest(HTTPStatus.NOT_FOUND, detail)


def _named(names: Collection[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(sorted(names)[:MOST_NAMED]) + more
