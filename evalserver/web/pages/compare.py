"""``GET /ui/compare``: the response of ``GET /compare`` as a table with bars."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields, validates_schema

from evalserver.analysis.comparison import QUANTILE
from evalserver.core.lifecycle import Status
from evalserver.store import JobFilter
from evalserver.web.api.compare import MAX_JOBS, MIN_JOBS, get_comparison
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.rendering import call_api, render_page
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema

MAX_CANDIDATES = 50
"""Jobs offered for selection; others can be selected on the jobs page."""

PLOT_WIDTH = 100.0


class ComparePageQuerySchema(StrictSchema):
    """The page's query: the API's, but fewer than two jobs are allowed."""

    job = fields.List(Text(longest=64), load_default=[], metadata=about("The jobs to compare."))

    @validates_schema
    def _check_count(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        if len(dict.fromkeys(data["job"])) > MAX_JOBS:
            raise ValidationError(f"At most {MAX_JOBS} jobs can be compared.", "job")


@dataclass(frozen=True)
class Bar:
    """A value as a bar with its confidence interval, in percent of the plot's width."""

    zero: float
    start: float
    length: float
    end: float
    low: float | None
    high: float | None


async def get_compare_page(request: web.Request) -> web.Response:
    """``GET /ui/compare``: jobs compared with a baseline; with fewer than two jobs, a selection."""
    selected = list(dict.fromkeys(request[QUERY]["job"]))
    candidates = await request.app[STORE].queries.page(
        JobFilter(statuses=frozenset({Status.COMPLETED})), MAX_CANDIDATES
    )
    comparison = None
    if len(selected) >= MIN_JOBS:
        comparison = await call_api(request, get_comparison, job=selected)
        for row in comparison["rows"]:
            row["bars"] = make_bars(row["values"])
        for job in comparison["jobs"]:
            job["request"] = asdict((await request.app[STORE].queries.job(job["job_id"])).request)
    return render_page(
        request,
        "compare.html",
        selected=selected,
        candidates=[(job, asdict(job.request)) for job in candidates.jobs],
        comparison=comparison,
    )


def make_bars(values: Sequence[Mapping[str, Any]]) -> list[Bar | None]:
    """Return the bars of a row on one scale that includes 0; None for a missing value."""
    intervals = [_interval(each) for each in values]
    present = [interval for interval in intervals if interval is not None]
    low = min([0.0, *(min(value, lower) for value, lower, _ in present)])
    high = max([0.0, *(max(value, upper) for value, _, upper in present)])
    # Fractions are drawn on a scale from 0 to 1.
    high = 1.0 if low == 0 and 0.2 < high <= 1 else high
    scale = PLOT_WIDTH / ((high - low) or 1.0)
    return [
        None if interval is None else _make_bar(interval, each["stderr"] is not None, low, scale)
        for interval, each in zip(intervals, values, strict=True)
    ]


def _make_bar(
    interval: tuple[float, float, float], has_stderr: bool, low: float, scale: float
) -> Bar:
    value, lower, upper = ((each - low) * scale for each in interval)
    zero = -low * scale
    return Bar(
        zero=round(zero, 2),
        start=round(min(zero, value), 2),
        length=round(abs(value - zero), 2),
        end=round(value, 2),
        low=round(max(lower, 0.0), 2) if has_stderr else None,
        high=round(min(upper, PLOT_WIDTH), 2) if has_stderr else None,
    )


def _interval(value: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Return a value and the bounds of its confidence interval."""
    if value["value"] is None:
        return None
    margin = QUANTILE * (value["stderr"] or 0.0)
    return value["value"], value["value"] - margin, value["value"] + margin
