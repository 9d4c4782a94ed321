"""``GET /ui/trends``: a metric over training steps, for several training runs in one plot."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, fields
from itertools import pairwise
from operator import itemgetter
from typing import Any

from aiohttp import web
from marshmallow import fields as schema_fields
from marshmallow import pre_load, validate

from evalserver.store import Point, Series
from evalserver.web.http.spreadsheets import csv_text
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.formatting import shared_places
from evalserver.web.pages.rendering import PUSH_URL, render_page
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema

MAX_SELECTED = 20
DEFAULT_SELECTED = 6
"""How many series are shown if none is selected."""

MAX_VERDICTS, SHOWN_VERDICTS = 500, 10
"""Of the series: how many mark the values, and how many have a row of their own."""

MetricKey = tuple[str, str, str]
"""Task, metric, filter."""


class TrendsQuerySchema(StrictSchema):
    """The page's query."""

    series = schema_fields.List(
        Text(longest=512),
        load_default=[],
        validate=validate.Length(max=MAX_SELECTED, error="Must be given at most {max} times."),
        metadata=about("The `series` of the jobs to show."),
    )
    number = Text(longest=1024, metadata=about("The metric to show: `task/metric/filter`."))
    axis = schema_fields.String(
        load_default="step",
        validate=validate.OneOf(("step", "time"), error="Must be step or time."),
        metadata=about("The x-axis."),
    )
    format = schema_fields.String(
        load_default="html",
        validate=validate.OneOf(("html", "csv"), error="Must be html or csv."),
        metadata=about("`csv` returns the values as a table."),
    )

    @pre_load
    def _drop_empty(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value not in ("", [])}


async def get_trends_page(request: web.Request) -> web.Response:
    """``GET /ui/trends``: one metric of the selected series, over steps or time."""
    store, query = request.app[STORE], request[QUERY]
    all_series = await store.series.all()
    selected = query["series"] or [each.name for each in _largest(all_series)]
    metrics = await store.series.metrics_of(selected)
    metric = _select_metric(metrics, query.get("number"))
    points = await store.series.points(selected, *metric) if metric else []
    if query["format"] == "csv":
        return _csv_response(points, metric)
    verdicts = await store.gates.newest(MAX_VERDICTS, series=selected)
    with_values = {point.series for point in points}
    response = render_page(
        request,
        "trends.html",
        all_series=all_series,
        selected=selected,
        without_values=[name for name in selected if name not in with_values],
        metrics=sorted("/".join(each) for each in metrics),
        metric="/".join(metric) if metric else None,
        axis=query["axis"],
        points=[asdict(point) for point in points],
        places=shared_places([point.value for point in points]),
        verdicts=verdicts[:SHOWN_VERDICTS],
        more_verdicts=len(verdicts) > SHOWN_VERDICTS,
        verdict_of={each.job_id: each.verdict for each in reversed(verdicts)},
        previous=find_previous(points),
        csv=str(request.rel_url.update_query(format="csv")),
    )
    response.headers[PUSH_URL] = str(request.rel_url)
    return response


def _largest(known: Sequence[Series]) -> list[Series]:
    """Return the series to show first: those with most completed jobs, if any has one."""
    completed = [series for series in known if series.jobs] or known
    return sorted(completed, key=lambda series: series.jobs, reverse=True)[:DEFAULT_SELECTED]


def find_previous(points: Sequence[Point]) -> dict[str, str]:
    """Return the job of the step before, of the same series, for each job that has one."""
    by_series: dict[str, list[tuple[float, str]]] = {}
    for point in points:
        with suppress(ValueError):
            by_series.setdefault(point.series, []).append((float(point.step or ""), point.job_id))
    return {
        job_id: before
        for steps in by_series.values()
        for (_, before), (_, job_id) in pairwise(sorted(steps, key=itemgetter(0)))
    }


def _select_metric(metrics: Sequence[MetricKey], name: str | None) -> MetricKey | None:
    """Return the metric with this name, else the first one, which most of the series have."""
    for metric in metrics:
        if "/".join(metric) == name:
            return metric
    return metrics[0] if metrics else None


def _csv_response(points: Sequence[Point], metric: MetricKey | None) -> web.Response:
    head = ("task", "metric", "filter", *(each.name for each in fields(Point)))
    text = csv_text([head, *((*(metric or ()), *astuple(point)) for point in points)])
    response = web.Response(text=text, content_type="text/csv", charset="utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="trends.csv"'
    return response
