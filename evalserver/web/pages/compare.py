"""``GET /ui/compare``: what ``GET /compare`` answers, as tables and bars."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields, validates_schema

from evalserver.analysis.comparison import QUANTILE
from evalserver.core.lifecycle import Status
from evalserver.store import JobFilter
from evalserver.web.api.compare import FEWEST_JOBS, MOST_JOBS, get_comparison
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.rendering import answer, page
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema

MOST_OFFERED = 50
"""Jobs to choose from; others are chosen on the page of jobs."""

PLOT_WIDTH = 100.0


class ComparePageQuerySchema(StrictSchema):
    """The query of the page: as of the API, but fewer jobs are a beginning."""

    job = fields.List(Text(longest=64), load_default=[], metadata=about("The jobs."))

    @validates_schema
    def _not_too_many(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        if len(dict.fromkeys(data["job"])) > MOST_JOBS:
            raise ValidationError(f"At most {MOST_JOBS} jobs can be compared.", "job")


@dataclass(frozen=True)
class Bar:
    """A job's number as a bar with its interval, in hundredths of the plot's width."""

    zero: float
    begin: float
    length: float
    end: float
    low: float | None
    high: float | None


async def get_compare_page(request: web.Request) -> web.Response:
    """``GET /ui/compare``: jobs beside a baseline; or, with fewer than two, jobs to choose."""
    chosen = list(dict.fromkeys(request[QUERY]["job"]))
    offered = await request.app[STORE].page(
        JobFilter(statuses=frozenset({Status.COMPLETED})), MOST_OFFERED
    )
    found = None
    if len(chosen) >= FEWEST_JOBS:
        found = await answer(request, get_comparison, job=chosen)
        for row in found["rows"]:
            row["bars"] = bars(row["values"])
        for job in found["jobs"]:
            job["request"] = asdict((await request.app[STORE].job(job["job_id"])).request)
    return page(
        request,
        "compare.html",
        chosen=chosen,
        offered=[(job, asdict(job.request)) for job in offered.jobs],
        found=found,
    )


def bars(values: Sequence[Mapping[str, Any]]) -> list[Bar | None]:
    """The bars of a row, on one scale that has 0 in it; None where there is no number."""
    spans = [_span(each) for each in values]
    known = [span for span in spans if span is not None]
    low = min([0.0, *(min(span[0], span[1]) for span in known)])
    high = max([0.0, *(max(span[0], span[2]) for span in known)])
    # Numbers that are shares look right beside the whole.
    high = 1.0 if low == 0 and 0.2 < high <= 1 else high
    scale = PLOT_WIDTH / ((high - low) or 1.0)
    return [
        None if span is None else _bar(span, each["stderr"] is not None, low, scale)
        for span, each in zip(spans, values, strict=True)
    ]


def _bar(span: tuple[float, float, float], has_interval: bool, low: float, scale: float) -> Bar:
    value, lowest, highest = ((each - low) * scale for each in span)
    zero = -low * scale
    return Bar(
        zero=round(zero, 2),
        begin=round(min(zero, value), 2),
        length=round(abs(value - zero), 2),
        end=round(value, 2),
        low=round(max(lowest, 0.0), 2) if has_interval else None,
        high=round(min(highest, PLOT_WIDTH), 2) if has_interval else None,
    )


def _span(value: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """A number, and the interval around it."""
    if value["value"] is None:
        return None
    around = QUANTILE * (value["stderr"] or 0.0)
    return value["value"], value["value"] - around, value["value"] + around
