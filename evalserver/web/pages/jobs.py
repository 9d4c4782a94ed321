"""``GET /ui/jobs``: the job list. Its filters are those of ``GET /jobs`` and part of the URL."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web
from marshmallow import pre_load
from yarl import URL

from evalserver.attempts.failures import CODES
from evalserver.core.lifecycle import Status
from evalserver.store import Batch, BatchNotFound, SortKey
from evalserver.web.api.compare import MAX_JOBS, MIN_JOBS
from evalserver.web.api.job_list import JobsQuerySchema, get_jobs
from evalserver.web.keys import ENGINES, QUERY, STORE
from evalserver.web.pages.rendering import PUSH_URL, call_api, render_page

PAGE_SIZE = 25

DEFAULT_SORT = f"-{SortKey.CREATED_AT}"
SORT_ORDERS = {
    DEFAULT_SORT: "newest first",
    "created_at": "oldest first",
    "-started_at": "latest start first",
    "started_at": "earliest start first",
    "-completed_at": "latest finish first",
    "completed_at": "earliest finish first",
    "-duration": "longest first",
    "duration": "shortest first",
    "-priority": "highest priority first",
    "priority": "lowest priority first",
    "status": "by status",
    "-status": "by status, descending",
    "model": "by model",
    "-model": "by model, descending",
    "-step": "highest step first",
    "step": "lowest step first",
}
"""The sort orders and their names on the page."""

DESCENDING_FIRST = frozenset({"created_at", "started_at", "completed_at", "duration", "priority"})
"""Columns whose first click sorts in descending order."""

MORE_FILTERS = frozenset(
    {"failure", "step", "submitted_by", "engine", "created_after", "created_before"}
)
"""Filters that the page shows when asked, or when one of them is set."""


class JobsPageQuerySchema(JobsQuerySchema):
    """The page's query: the API's, where empty form fields count as absent."""

    @pre_load
    def _drop_empty(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        cleaned = {
            name: [each for each in value if each] if isinstance(value, list) else value
            for name, value in data.items()
        }
        return {
            "limit": str(PAGE_SIZE),
            **{name: each for name, each in cleaned.items() if each},
        }


async def get_jobs_page(request: web.Request) -> web.Response:
    """``GET /ui/jobs``: one page of the jobs that match the filters."""
    store = request.app[STORE]
    query = _non_empty_query(request)
    found = await call_api(request, get_jobs, **request[QUERY])
    batch = await _find_batch(request)
    next_page = {**query, "cursor": [found["next"]]} if found["next"] else None
    response = render_page(
        request,
        "jobs.html",
        jobs=found["jobs"],
        next_page_url=_make_url(request, next_page) if next_page else None,
        first_page_url=_make_url(request, {**query, "cursor": []}) if "cursor" in query else None,
        sort_key=request[QUERY]["order"].key.value,
        sort_orders=SORT_ORDERS,
        sort=query.get("sort", [DEFAULT_SORT])[0],
        sort_url=lambda key: _make_url(request, _sort_by(query, key)),
        has_more_filters=not MORE_FILTERS.isdisjoint(query),
        filters={name: ", ".join(each) for name, each in query.items()},
        counts=await store.queries.count_by_status(),
        batch=batch,
        compare_batch_url=None if batch is None else await _compare_url(request, batch),
        statuses=[status.value for status in Status],
        engines=[*request.app[ENGINES].keys()],
        failures=CODES,
    )
    response.headers[PUSH_URL] = _make_url(request, query)
    return response


async def _find_batch(request: web.Request) -> Batch | None:
    """Return the batch whose jobs are shown, if it is one."""
    batch_id = request[QUERY]["wanted"].batch_id
    if batch_id is None:
        return None
    with suppress(BatchNotFound):
        return await request.app[STORE].batches.batch(batch_id)
    return None


async def _compare_url(request: web.Request, batch: Batch) -> str | None:
    """Return the address of the comparison of a batch, if its completed jobs can be compared."""
    if not MIN_JOBS <= batch.counts[Status.COMPLETED] <= MAX_JOBS:
        return None
    completed = await request.app[STORE].batches.completed(batch.batch_id)
    return str(URL("/ui/compare").with_query([("job", job_id) for job_id in completed]))


def _non_empty_query(request: web.Request) -> dict[str, list[str]]:
    """Return the query without empty values."""
    names = dict.fromkeys(request.query)
    query = {name: [each for each in request.query.getall(name) if each] for name in names}
    return {name: each for name, each in query.items() if each}


def _sort_by(query: Mapping[str, list[str]], key: str) -> dict[str, list[str]]:
    """Return the query sorted by ``key``, in the opposite direction if it is already."""
    current = query.get("sort", [DEFAULT_SORT])[0]
    first, second = (f"-{key}", key) if key in DESCENDING_FIRST else (key, f"-{key}")
    sort = second if current == first else first
    others = {name: each for name, each in query.items() if name not in ("sort", "cursor")}
    return others if sort == DEFAULT_SORT else {**others, "sort": [sort]}


def _make_url(request: web.Request, query: Mapping[str, list[str]]) -> str:
    pairs = [(name, value) for name, values in query.items() for value in values]
    return str(request.rel_url.with_query(pairs))
