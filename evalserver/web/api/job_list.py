"""``GET /jobs``: pages of jobs, filtered and sorted, or in the order in which they finished."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from aiohttp import web
from marshmallow import ValidationError, fields, post_load, validate

from evalserver.core.job import Job
from evalserver.core.lifecycle import Status
from evalserver.core.model_title import MAX_TITLE
from evalserver.core.request import MAX_STEP, REQUEST_FIELDS
from evalserver.core.result_check import CheckStatus
from evalserver.core.task_names import with_colon
from evalserver.store import NEWEST, JobFilter, JobPruned, Order, Place, SortKey
from evalserver.web.api.jobs import job_with_position, serialize_job
from evalserver.web.http.cursors import (
    InvalidCursor,
    read_cursor,
    read_place,
    write_cursor,
    write_place,
)
from evalserver.web.http.responses import json_response
from evalserver.web.keys import QUERY, SCHEDULER, SEARCH_WORK, STORE
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import EngineName, StrictSchema
from evalserver.web.schemas.query_fields import (
    DateTime,
    FailureCode,
    JobIdPart,
    Label,
    QueryEventId,
    QueryInteger,
    Sort,
    Statuses,
)

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
"""Jobs per page."""
MAX_LABELS = 10

JOBS_PER_STEP = 25
"""Jobs serialized without yielding to the event loop, which takes about a millisecond."""


NEWEST_FIRST = Order(SortKey.CREATED_AT, descending=True)

MAX_CURSOR_CHARACTERS = 4096
"""It may contain the name of a model."""


@dataclass(frozen=True)
class _JobPage:
    """A page of jobs, and the cursor of the next page."""

    jobs: list[Job]
    next: str | None


class JobsQuerySchema(StrictSchema):
    """The query of ``GET /jobs``.

    Loads the filter ``wanted``, ``limit``, ``order``, the ``position`` of the cursor or None, and
    ``finished_after`` or None.
    """

    status = Statuses(metadata=about("One status, or several separated by commas."))
    job_id = JobIdPart(metadata=about("The id, or its beginning or end, of 4 characters or more."))
    model = Text(
        longest=MAX_TITLE,
        metadata=about(
            "The `model` of the request, or the checkpoint that lists show in its place, such as"
            " `pretrained` of its `model_args`."
        ),
    )
    task = Text(longest=256, metadata=about("A task of the request."))
    engine = EngineName(metadata=about("The engine of the job."))
    result_check = fields.String(
        validate=validate.OneOf(list(CheckStatus), error="Must be one of {choices}."),
        metadata=about("The verdict of the check of the results: `ok`, `warnings` or `failed`."),
    )
    failure = FailureCode(metadata=about("The code of the failure of a failed job."))
    label = fields.List(
        Label(),
        validate=validate.Length(max=MAX_LABELS, error="Must be given at most {max} times."),
        metadata=about("`name=text`; if given several times, all must match."),
    )
    batch_id = Text(longest=64, metadata=about("The batch that it was submitted with."))
    series = Text(
        longest=REQUEST_FIELDS["series"].max_length,
        metadata=about("The training run that it belongs to."),
    )
    step = QueryInteger(
        0, MAX_STEP, metadata=about("The step of training that its checkpoint is of.")
    )
    submitted_by = Text(longest=256, metadata=about("Who submitted it."))
    created_after = DateTime(metadata=about("Submitted at or after this time."))
    created_before = DateTime(metadata=about("Submitted before this time."))
    finished_after = QueryEventId(
        metadata=about(
            "Jobs that finished after this `event_id`, in the order of finishing. A client"
            " that continues from the last one gets each job once."
        )
    )
    search = Text(
        longest=128,
        metadata=about(
            "The beginning or end of the id (4 characters or more), or a part of a model, a task,"
            " or a text in"
            " `model_args` or `harness_args`, such as the path of a checkpoint; secrets are not"
            " searched."
        ),
    )
    limit = QueryInteger(1, MAX_LIMIT, load_default=DEFAULT_LIMIT, metadata=about("Jobs per page."))
    sort = Sort(
        metadata=about(
            "The sort key, by default `-created_at`; with the prefix `-`, largest or latest first."
            " Jobs without the value come last. Cannot be combined with `finished_after`."
        )
    )
    cursor = Text(longest=MAX_CURSOR_CHARACTERS, metadata=about("The `next` of the previous page."))

    @post_load
    def _to_job_query(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        limit, cursor = data.pop("limit"), data.pop("cursor", None)
        order = data.pop("sort", NEWEST_FIRST)
        finished_after = data.pop("finished_after", None)
        data["labels"] = tuple(sorted(set(data.pop("label", ()))))
        data["statuses"] = data.pop("status", frozenset())
        if "task" in data:
            data["task"] = with_colon(data["task"])
        wanted = JobFilter(**data)
        if finished_after is not None and order != NEWEST_FIRST:
            fault = "Cannot be combined with finished_after, which has an order of its own."
            raise ValidationError(fault, "sort")
        fingerprint = _query_fingerprint(wanted, finished_after, order)
        read = read_cursor if order == NEWEST_FIRST else read_place
        return {
            "wanted": wanted,
            "limit": limit,
            "order": order,
            "position": None if cursor is None else _parse_cursor(read, cursor, fingerprint),
            "finished_after": finished_after,
        }


async def get_jobs(request: web.Request) -> web.Response:
    """``GET /jobs``: a page of the jobs that match the query, and the cursor of the next page."""
    wanted = request[QUERY]["wanted"]
    if wanted.search is None and wanted.job_id is None:
        found = await _find_jobs(request)
    else:
        found = await request.app[SEARCH_WORK].run(request, lambda: _find_jobs(request))
    job_with_position = await _with_positions(request, found.jobs, wanted)
    answer = json_response(
        {"jobs": await _serialize_jobs(request, job_with_position), "next": found.next}
    )
    if found.next is not None:
        address = request.rel_url.update_query(cursor=found.next)
        answer.headers["Link"] = f'<{address}>; rel="next"'
    return answer


async def _find_jobs(request: web.Request) -> _JobPage:
    names = ("wanted", "limit", "position", "order", "finished_after")
    wanted, limit, position, order, finished_after = (request[QUERY][name] for name in names)
    store = request.app[STORE]
    fingerprint = _query_fingerprint(wanted, finished_after, order)
    if order != NEWEST_FIRST:
        ordered = await store.queries.sorted_page(wanted, limit, order, position)
        behind = ordered.next
        return _JobPage(ordered.jobs, None if behind is None else write_place(behind, fingerprint))
    if finished_after is None:
        page = await store.queries.page(wanted, limit, NEWEST if position is None else position)
    else:
        after = finished_after if position is None else position
        if after > await store.events.newest_id():
            # A future event is from another database, such as before a backup was restored: start
            # from the beginning.
            after = 0
        page = await store.queries.finished_page(wanted, limit, after)
    return _JobPage(page.jobs, None if page.next is None else write_cursor(page.next, fingerprint))


async def _with_positions(
    request: web.Request, jobs: list[Job], wanted: JobFilter
) -> list[tuple[Job, int | None]]:
    """Return the jobs with their positions in the queue, at one point in time.

    A queued job without a position is just being queued or claimed: it is read again, and left out
    if it no longer matches the filter.
    """
    queue = request.app[SCHEDULER].queue
    found = [
        (job, queue.position(job.job_id) if job.status is Status.QUEUED else None) for job in jobs
    ]
    settled = []
    for job, position in found:
        if job.status is not Status.QUEUED or position is not None:
            settled.append((job, position))
            continue
        with suppress(JobPruned):
            again = await job_with_position(request, job.job_id)
            if not wanted.statuses or again[0].status in wanted.statuses:
                settled.append(again)
    return settled


async def _serialize_jobs(request: web.Request, jobs: list[tuple[Job, int | None]]) -> list[Any]:
    serialized = []
    for number, (job, position) in enumerate(jobs, start=1):
        serialized.append(await serialize_job(request, job, position))
        if number % JOBS_PER_STEP == 0:
            await asyncio.sleep(0)
    return serialized


def _parse_cursor(
    read: Callable[[str, bytes], int | Place], cursor: str, fingerprint: bytes
) -> int | Place:
    try:
        return read(cursor, fingerprint)
    except InvalidCursor:
        fault = "Must be the 'next' of a response to this query; leave it out to start again."
        raise ValidationError(fault, "cursor") from None


def _query_fingerprint(wanted: JobFilter, finished_after: int | None, order: Order) -> bytes:
    statuses = sorted(wanted.statuses)
    return orjson.dumps(
        {
            **asdict(wanted),
            "statuses": statuses,
            "finished_after": finished_after,
            "order": asdict(order),
        }
    )
