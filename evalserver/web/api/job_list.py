"""``GET /jobs``: the jobs, filtered, and page by page: the newest submission first, or sorted
otherwise, or those that finished behind an event, in the order in which they did."""

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
from evalserver.store import NEWEST, JobFilter, JobPruned, Order, Place, SortKey
from evalserver.web.api.jobs import placed, shown
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
    Label,
    QueryEventId,
    QueryInteger,
    Sort,
    Statuses,
)

MOST = 500
ORDINARY = 50
"""Jobs of a page."""
MOST_LABELS = 10

WRITTEN_AT_ONCE = 25
"""Jobs; it takes about a millisecond, in which nobody else is answered."""


NEWEST_FIRST = Order(SortKey.CREATED_AT, descending=True)

LONGEST_CURSOR = 4096
"""Characters: it may have a model's name in it."""


@dataclass(frozen=True)
class _Found:
    """Some jobs, and the cursor of those behind them."""

    jobs: list[Job]
    next: str | None


class JobsQuerySchema(StrictSchema):
    """The query of ``GET /jobs``; loads what is ``wanted``, the ``limit``, the ``position`` of the
    cursor or None, and ``finished_after`` or None."""

    status = Statuses(metadata=about("One status, or several separated by commas."))
    model = Text(longest=512, metadata=about("The `model` of the request."))
    task = Text(longest=256, metadata=about("A task as it was asked for."))
    engine = EngineName(metadata=about("The engine that runs it."))
    label = fields.List(
        Label(),
        validate=validate.Length(max=MOST_LABELS, error="Must be given at most {max} times."),
        metadata=about("`name=text`; given several times, all must be there."),
    )
    submitted_by = Text(longest=256, metadata=about("Who submitted it."))
    created_after = DateTime(metadata=about("This moment is in."))
    created_before = DateTime(metadata=about("This moment is out."))
    finished_after = QueryEventId(
        metadata=about(
            "Those that finished with an event behind this `event_id`, in the order in which they"
            " did: so who goes on from the last one is given each job once."
        )
    )
    search = Text(
        longest=128,
        metadata=about(
            "How the id begins (4 characters or more), or a part of a model, of a task, or of a"
            " text in `model_args`, such as the checkpoint's path; secrets are not searched."
        ),
    )
    limit = QueryInteger(1, MOST, load_default=ORDINARY, metadata=about("Jobs of a page."))
    sort = Sort(
        metadata=about(
            "What they are sorted by, `-created_at` unless it is given; with `-` before it, the"
            " largest or latest first. Jobs that have no such value yet come last. Not together"
            " with `finished_after`."
        )
    )
    cursor = Text(longest=LONGEST_CURSOR, metadata=about("The `next` of the page before."))

    @post_load
    def _to_question(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        limit, cursor = data.pop("limit"), data.pop("cursor", None)
        order = data.pop("sort", NEWEST_FIRST)
        finished_after = data.pop("finished_after", None)
        data["labels"] = tuple(sorted(set(data.pop("label", ()))))
        data["statuses"] = data.pop("status", frozenset())
        wanted = JobFilter(**data)
        if finished_after is not None and order != NEWEST_FIRST:
            fault = "Must be left out with finished_after, which has an order of its own."
            raise ValidationError(fault, "sort")
        mark = _query_mark(wanted, finished_after, order)
        read = read_cursor if order == NEWEST_FIRST else read_place
        return {
            "wanted": wanted,
            "limit": limit,
            "order": order,
            "position": None if cursor is None else _position(read, cursor, mark),
            "finished_after": finished_after,
        }


async def get_jobs(request: web.Request) -> web.Response:
    """``GET /jobs``: the jobs that are asked for, and the cursor of the next page."""
    if request[QUERY]["wanted"].search is None:
        found = await _found(request)
    else:
        found = await request.app[SEARCH_WORK].run(request, lambda: _found(request))
    placed = await _placed(request, found.jobs, request[QUERY]["wanted"])
    answer = json_response({"jobs": await _written(request, placed), "next": found.next})
    if found.next is not None:
        address = request.rel_url.update_query(cursor=found.next)
        answer.headers["Link"] = f'<{address}>; rel="next"'
    return answer


async def _found(request: web.Request) -> _Found:
    names = ("wanted", "limit", "position", "order", "finished_after")
    wanted, limit, position, order, finished_after = (request[QUERY][name] for name in names)
    store = request.app[STORE]
    mark = _query_mark(wanted, finished_after, order)
    if order != NEWEST_FIRST:
        ordered = await store.sorted_page(wanted, limit, order, position)
        behind = ordered.next
        return _Found(ordered.jobs, None if behind is None else write_place(behind, mark))
    if finished_after is None:
        page = await store.page(wanted, limit, NEWEST if position is None else position)
    else:
        after = finished_after if position is None else position
        if after > await store.newest_event_id():
            # An event that is yet to come is one of another database, such as before a backup was
            # restored. Who comes from there has to be told everything.
            after = 0
        page = await store.finished_page(wanted, limit, after)
    return _Found(page.jobs, None if page.next is None else write_cursor(page.next, mark))


async def _placed(
    request: web.Request, jobs: list[Job], wanted: JobFilter
) -> list[tuple[Job, int | None]]:
    """The jobs with their positions in the queue, all of one moment.

    What is queued and has no position is being queued or claimed: that is looked at again, and
    left out if it is not wanted any more.
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
            again = await placed(request, job.job_id)
            if not wanted.statuses or again[0].status in wanted.statuses:
                settled.append(again)
    return settled


async def _written(request: web.Request, jobs: list[tuple[Job, int | None]]) -> list[Any]:
    written = []
    for number, (job, position) in enumerate(jobs, start=1):
        written.append(await shown(request, job, position))
        if number % WRITTEN_AT_ONCE == 0:
            await asyncio.sleep(0)
    return written


def _position(
    read: Callable[[str, bytes], int | Place], cursor: str, query_mark: bytes
) -> int | Place:
    try:
        return read(cursor, query_mark)
    except InvalidCursor:
        fault = "Must be the 'next' of an answer to this query; to begin again, leave it out."
        raise ValidationError(fault, "cursor") from None


def _query_mark(wanted: JobFilter, finished_after: int | None, order: Order) -> bytes:
    statuses = sorted(wanted.statuses)
    return orjson.dumps(
        {
            **asdict(wanted),
            "statuses": statuses,
            "finished_after": finished_after,
            "order": asdict(order),
        }
    )
