"""``GET /compare/samples/{task}``: the samples of two jobs side by side, flips first."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from aiohttp import web
from marshmallow import fields, validate

from evalserver.core.task_names import with_colon
from evalserver.outputs import (
    Identity,
    SampleDiff,
    ScoresUnavailable,
)
from evalserver.web.api.compare import DistinctJobs
from evalserver.web.api.results import load_job_with_files
from evalserver.web.api.sample_difference_pages import page_body
from evalserver.web.api.sample_sides import (
    Side,
    find_diff,
    identify,
)
from evalserver.web.api.samples import find_samples_file, invalid_field_error
from evalserver.web.http.cursors import InvalidCursor, read_cursor
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.one_at_a_time import run_stoppable
from evalserver.web.keys import COMPARISON_WORK, ENGINES, QUERY, SAMPLE_DIFFS, STORE
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import QueryInteger

MAX_PAIRS, DEFAULT_PAIRS = 200, 20
"""Documents per page."""
STATES = ("right", "wrong", "missing", "any")
"""What a filter may require of the samples of one of the jobs."""


class TwoJobs(DistinctJobs):
    """The ids of two different jobs."""

    MIN_JOBS = MAX_JOBS = 2


def _state(of: str) -> fields.String:
    return fields.String(
        validate=validate.OneOf(STATES, error="Must be right, wrong, missing or any."),
        load_default="any",
        metadata=about(f"Only documents that {of} has right, wrong, or no sample of."),
    )


class CompareSamplesQuerySchema(StrictSchema):
    """The query of ``GET /compare/samples/{task}``."""

    job = TwoJobs(
        Text(longest=64),
        required=True,
        metadata=about("The ids of two completed jobs; the first is the baseline."),
    )
    baseline_is = _state("the baseline")
    job_is = _state("the second job")
    metric = Text(
        longest=256, metadata=about("The metric that decides; default: one that both jobs have.")
    )
    filter = Text(longest=256, metadata=about("The filter of the harness; default: as `metric`."))
    job_task = Text(
        longest=256, metadata=about("What the second job calls the task, if that differs.")
    )
    job_metric = Text(longest=256, metadata=about("The second job's metric, if that differs."))
    job_filter = Text(longest=256, metadata=about("The second job's filter, if that differs."))
    limit = QueryInteger(
        1,
        MAX_PAIRS,
        load_default=DEFAULT_PAIRS,
        metadata=about(f"Documents per page, by default {DEFAULT_PAIRS}."),
    )
    cursor = Text(longest=64, metadata=about("The `next` of the previous page."))


async def get_sample_differences(request: web.Request) -> web.Response:
    """``GET /compare/samples/{task}``: what changed for each document of a task between two jobs.

    Documents that went from right to wrong come first, then those from wrong to right, those that
    are wrong or right in both, and at the end those that only one of the jobs has. They are paired
    by id, or by a hash of their content where ids mean different documents, also across harnesses.
    """
    sides = await _load_sides(request)
    identities, diff = await _load_diff(request, sides)
    key = repr((identities, request[QUERY]["baseline_is"], request[QUERY]["job_is"])).encode()
    start = _start(request[QUERY].get("cursor"), key)
    body, next_cursor = await asyncio.to_thread(page_body, request[QUERY], sides, diff, start, key)
    response = web.Response(body=body, content_type="application/json")
    if next_cursor is not None:
        response.headers["Link"] = (
            f'<{request.rel_url.update_query(cursor=next_cursor)}>; rel="next"'
        )
    return response


async def _load_sides(request: web.Request) -> tuple[Side, Side]:
    query, task = request[QUERY], request.match_info["task"]
    first, second = query["job"]
    baseline = await _load_side(request, first, task)
    job = await _load_side(request, second, query.get("job_task", task))
    # What the request says of both holds for the second job as far as it has it.
    of_both = {
        "job_metric": query.get("metric") if query.get("metric") in job.metric_names else None,
        "job_filter": query.get("filter") if query.get("filter") in job.filters else None,
    }
    return (
        _with_names(baseline, query, "metric", "filter"),
        _with_names(job, {**of_both, **query}, "job_metric", "job_filter"),
    )


async def _load_side(request: web.Request, job_id: str, task: str) -> Side:
    """Return the samples of a job. Raises JobNotFound, JobPruned, BadRequest (404, 409)."""
    job, metrics = await load_job_with_files(request.app[STORE], job_id)
    engine, task = request.app[ENGINES].get(job.engine), with_colon(task)
    if engine is None:
        raise BadRequest(
            HTTPStatus.CONFLICT,
            f"The server has no engine {job.engine} to read the samples of job {job_id} with",
        )
    file = find_samples_file(job, engine, task)
    return Side(job, engine, task, file, [each for each in metrics if each.task == task])


def _with_names(side: Side, query: Mapping[str, Any], metric: str, kind: str) -> Side:
    """Return the side with the metric and the filter of these fields. Raises BadRequest (422)."""
    for field, names in ((metric, side.metric_names), (kind, side.filters)):
        if query.get(field) not in {None, *names}:
            there = ", ".join(sorted(names)) or "none"
            raise invalid_field_error(
                field, f"Job {side.job.job_id} has, for the task {side.task}: {there}."
            )
    return replace(side, metric=query.get(metric), filter=query.get(kind))


async def _load_diff(request: web.Request, sides: tuple[Side, Side]) -> tuple[Identity, SampleDiff]:
    """Return the diff, from memory if these samples were compared before. Raises BadRequest."""
    kept = request.app[SAMPLE_DIFFS]

    async def find() -> SampleDiff:
        # Another request may have found it while this one waited for its turn.
        known = kept.get(identity)
        if known is not None:
            return known
        return await run_stoppable(lambda stop: find_diff(sides, stop.is_set))

    try:
        identity = await asyncio.to_thread(lambda: tuple(identify(side) for side in sides))
        diff = kept.get(identity)
        if diff is None:
            # Reading whole files occupies a thread, so comparisons run one at a time.
            diff = await request.app[COMPARISON_WORK].run(request, find)
            kept.keep(identity, diff)
    except ScoresUnavailable as error:
        raise BadRequest(
            HTTPStatus.CONFLICT, f"The samples of {sides[0].task} cannot be compared: {error}"
        ) from None
    return identity, diff


def _start(cursor: str | None, key: bytes) -> int:
    try:
        return 0 if cursor is None else read_cursor(cursor, key)
    except InvalidCursor:
        fault = "Must be the 'next' of a page of the same samples; leave it out to start again."
        raise invalid_field_error("cursor", fault) from None
