"""``GET /ui/trends``: a number over the course of training, of several runs in one plot."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

from aiohttp import web
from marshmallow import fields as schema_fields
from marshmallow import pre_load, validate

from evalserver.store import Point, Series
from evalserver.web.api.results import as_cell
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.rendering import page
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema

MOST_CHOSEN = 20
FEW = 6
"""So many series are shown when none is chosen."""

Number = tuple[str, str, str]
"""Task, metric, filter."""


class TrendsQuerySchema(StrictSchema):
    """The query of the page."""

    series = schema_fields.List(
        Text(longest=512),
        load_default=[],
        validate=validate.Length(max=MOST_CHOSEN, error="Must be given at most {max} times."),
        metadata=about("The label `series` of the jobs that are shown."),
    )
    number = Text(longest=1024, metadata=about("Which number: `task/metric/filter`."))
    axis = schema_fields.String(
        load_default="step",
        validate=validate.OneOf(("step", "time"), error="Must be step or time."),
        metadata=about("What lies along the bottom."),
    )
    format = schema_fields.String(
        load_default="html",
        validate=validate.OneOf(("html", "csv"), error="Must be html or csv."),
        metadata=about("`csv` is the table for a spreadsheet."),
    )

    @pre_load
    def _empty_is_absent(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value not in ("", [])}


async def get_trends_page(request: web.Request) -> web.Response:
    """``GET /ui/trends``: one number of the jobs of some series, over their steps or over time."""
    store, query = request.app[STORE], request[QUERY]
    known = await store.series()
    chosen = query["series"] or [each.name for each in _largest(known)]
    numbers = await store.numbers_of_series(chosen)
    number = _chosen(numbers, query.get("number"))
    points = await store.points(chosen, *number) if number else []
    if query["format"] == "csv":
        return _as_csv(points, number)
    return page(
        request,
        "trends.html",
        known=known,
        chosen=chosen,
        numbers=["/".join(each) for each in numbers],
        number="/".join(number) if number else None,
        axis=query["axis"],
        points=[asdict(point) for point in points],
        csv=str(request.rel_url.update_query(format="csv")),
    )


def _largest(known: Sequence[Series]) -> list[Series]:
    return sorted(known, key=lambda series: series.jobs, reverse=True)[:FEW]


def _chosen(numbers: Sequence[Number], asked: str | None) -> Number | None:
    for number in numbers:
        if "/".join(number) == asked:
            return number
    return numbers[0] if numbers else None


def _as_csv(points: Sequence[Point], number: Number | None) -> web.Response:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("task", "metric", "filter", *(each.name for each in fields(Point))))
    for point in points:
        rows.writerow([as_cell(value) for value in (*(number or ()), *astuple(point))])
    response = web.Response(text=text.getvalue(), content_type="text/csv", charset="utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="trends.csv"'
    return response
