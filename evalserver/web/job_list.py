"""``GET /jobs``: the jobs, the newest submission first, filtered, and page by page."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web
from marshmallow import ValidationError, fields, post_load, validate

from evalserver.job import Job
from evalserver.lifecycle import Status
from evalserver.store import NEWEST, JobFilter, JobPruned
from evalserver.web.cursors import NotACursor, read_cursor, write_cursor
from evalserver.web.fields import Text, about
from evalserver.web.jobs import placed, shown
from evalserver.web.keys import QUERY, SCHEDULER, STORE
from evalserver.web.query_fields import Label, Moment, QueryWhole, Statuses
from evalserver.web.replies import reply
from evalserver.web.schemas import EngineName, StrictSchema

MOST = 500
ORDINARY = 50
"""Jobs of a page."""
MOST_LABELS = 10

WRITTEN_AT_ONCE = 25
"""Jobs; it takes about a millisecond, in which nobody else is answered."""


class JobsQuerySchema(StrictSchema):
    """The query of ``GET /jobs``; loads what is ``wanted``, the ``limit``, and ``before`` which seq
    the page begins."""

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
    created_after = Moment(metadata=about("This moment is in."))
    created_before = Moment(metadata=about("This moment is out."))
    limit = QueryWhole(1, MOST, load_default=ORDINARY, metadata=about("Jobs of a page."))
    cursor = Text(longest=64, metadata=about("The `next` of the page before."))

    @post_load
    def _to_question(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        limit, cursor = data.pop("limit"), data.pop("cursor", None)
        data["labels"] = tuple(sorted(set(data.pop("label", ()))))
        data["statuses"] = data.pop("status", frozenset())
        wanted = JobFilter(**data)
        return {"wanted": wanted, "limit": limit, "before": _before(cursor, wanted)}


async def get_jobs(request: web.Request) -> web.Response:
    """``GET /jobs``: the jobs that are asked for, and the cursor of the next page."""
    wanted, limit, before = (request[QUERY][name] for name in ("wanted", "limit", "before"))
    page = await request.app[STORE].page(wanted, limit, before)
    jobs = await _written(request, await _placed(request, page.jobs, wanted))
    if page.next is None:
        return reply({"jobs": jobs, "next": None})
    cursor = write_cursor(page.next, _fingerprint(wanted))
    answer = reply({"jobs": jobs, "next": cursor})
    answer.headers["Link"] = f'<{request.rel_url.update_query(cursor=cursor)}>; rel="next"'
    return answer


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


def _before(cursor: str | None, wanted: JobFilter) -> int:
    if cursor is None:
        return NEWEST
    try:
        return read_cursor(cursor, _fingerprint(wanted))
    except NotACursor:
        fault = "Must be the 'next' of an answer to this query; to begin again, leave it out."
        raise ValidationError(fault, "cursor") from None


def _fingerprint(wanted: JobFilter) -> bytes:
    return orjson.dumps({**asdict(wanted), "statuses": sorted(wanted.statuses)})
