"""``GET /ui/jobs``: finding jobs. The filters are those of ``GET /jobs``, kept in the address."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from marshmallow import pre_load

from evalserver.core.lifecycle import Status
from evalserver.store import SortKey
from evalserver.web.api.job_list import JobsQuerySchema, get_jobs
from evalserver.web.keys import ENGINES, QUERY, STORE
from evalserver.web.pages.rendering import answer, page

JOBS_OF_A_PAGE = 25

USUAL = f"-{SortKey.CREATED_AT}"
ORDERS = {
    USUAL: "newest first",
    "created_at": "oldest first",
    "-started_at": "last started first",
    "started_at": "first started first",
    "-completed_at": "last ended first",
    "completed_at": "first ended first",
    "-duration": "longest first",
    "duration": "shortest first",
    "-priority": "highest priority first",
    "priority": "lowest priority first",
    "status": "by status",
    "-status": "by status, backwards",
    "model": "by model",
    "-model": "by model, backwards",
}
"""Every order, in the words of the page."""

LARGEST_FIRST = frozenset({"created_at", "started_at", "completed_at", "duration", "priority"})
"""By these, people look for the large or late ones at first."""

PUSH_URL = "HX-Push-Url"
"""What htmx puts into the address bar."""


class JobsPageQuerySchema(JobsQuerySchema):
    """The query of the page: that of the API; what a form leaves empty is not asked for."""

    @pre_load
    def _empty_is_absent(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        given = {
            name: [each for each in value if each] if isinstance(value, list) else value
            for name, value in data.items()
        }
        return {
            "limit": str(JOBS_OF_A_PAGE),
            **{name: each for name, each in given.items() if each},
        }


async def get_jobs_page(request: web.Request) -> web.Response:
    """``GET /ui/jobs``: the jobs that meet the filters, page by page."""
    store = request.app[STORE]
    given = _given(request)
    found = await answer(request, get_jobs, **request[QUERY])
    shown = page(
        request,
        "jobs.html",
        jobs=found["jobs"],
        next=_address(request, {**given, "cursor": [found["next"]]}) if found["next"] else None,
        first=_address(request, {**given, "cursor": []}) if "cursor" in given else None,
        order=request[QUERY]["order"].key.value,
        orders=ORDERS,
        sort=given.get("sort", [USUAL])[0],
        sorted_by=lambda key: _address(request, _sorted(given, key)),
        given={name: ", ".join(each) for name, each in given.items()},
        counts=await store.count_by_status(),
        statuses=[status.value for status in Status],
        engines=[*request.app[ENGINES].keys()],
    )
    shown.headers[PUSH_URL] = _address(request, given)
    return shown


def _given(request: web.Request) -> dict[str, list[str]]:
    """What the query says, without what a form left empty."""
    names = dict.fromkeys(request.query)
    given = {name: [each for each in request.query.getall(name) if each] for name in names}
    return {name: each for name, each in given.items() if each}


def _sorted(given: Mapping[str, list[str]], key: str) -> dict[str, list[str]]:
    """What to ask for to have the same jobs sorted by ``key``; the other way round if they are."""
    now = given.get("sort", [USUAL])[0]
    first, second = (f"-{key}", key) if key in LARGEST_FIRST else (key, f"-{key}")
    wanted = second if now == first else first
    kept = {name: each for name, each in given.items() if name not in ("sort", "cursor")}
    return kept if wanted == USUAL else {**kept, "sort": [wanted]}


def _address(request: web.Request, given: Mapping[str, list[str]]) -> str:
    pairs = [(name, each) for name, several in given.items() for each in several]
    return str(request.rel_url.with_query(pairs))
