"""``GET /ui/leaderboard``: the response of ``GET /leaderboard`` as a table."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from marshmallow import pre_load

from evalserver.store import Series
from evalserver.web.api.leaderboard import LeaderboardQuerySchema, get_leaderboard
from evalserver.web.api.leaderboard_formats import arguments_text, column_settings
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.formatting import shared_places
from evalserver.web.pages.rendering import call_api, render_page

MAX_SERIES = 100
"""Offered for selection; others can be named in the address."""


class LeaderboardPageQuerySchema(LeaderboardQuerySchema):
    """The page's query: the API's, where empty form fields count as absent, and several tasks may
    be in one field, with blanks between them."""

    @pre_load
    def _read_form(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        found = {name: value for name, value in data.items() if value not in ("", [""])}
        if "task" in found:
            found["task"] = [name for field in found["task"] for name in field.split()]
        # A form always has its field for the step.
        if found.get("pick", "latest") != "step":
            found.pop("step", None)
        return found


async def get_leaderboard_page(request: web.Request) -> web.Response:
    """``GET /ui/leaderboard``: models or series by tasks."""
    query: Mapping[str, Any] = request[QUERY]
    series = await request.app[STORE].series.all()
    board = await call_api(request, get_leaderboard, **{**query, "format": "json"})
    for entry in board["entries"]:
        entry["told"] = arguments_text(entry["arguments"])
    return render_page(
        request,
        "leaderboard.html",
        board=board,
        query=query,
        series=_offered(series, query["series"]),
        settings=column_settings(board["columns"]),
        places=[
            shared_places([cell["value"] for cell in column if cell])
            for column in zip(*(entry["cells"] for entry in board["entries"]), strict=True)
        ],
        links={kind: _api_link(request, query, kind) for kind in ("json", "csv", "markdown")},
    )


def _offered(series: list[Series], selected: list[str]) -> list[str]:
    names = [each.name for each in series]
    return list(dict.fromkeys([*selected, *names]))[:MAX_SERIES]


def _api_link(request: web.Request, query: Mapping[str, Any], kind: str) -> str:
    """Return the address of the same leaderboard in another form."""
    given = [
        (name, value)
        for name, value in request.rel_url.query.items()
        if value and name not in ("task", "format") and not (name == "step" and "step" not in query)
    ]
    tasks = [("task", task) for task in query["task"]]
    return str(
        request.rel_url.with_path("/leaderboard").with_query([*given, *tasks, ("format", kind)])
    )
