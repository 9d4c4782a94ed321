"""``GET /ui/compare``: the response of ``GET /compare`` as a table with bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields, validates_schema

from evalserver.analysis.comparison import QUANTILE
from evalserver.analysis.fractions import is_fraction
from evalserver.core.job import Job
from evalserver.core.lifecycle import Status
from evalserver.core.series import STEP
from evalserver.store import JobFilter
from evalserver.web.api.compare import MAX_JOBS, MIN_JOBS, get_comparison
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.formatting import shared_places
from evalserver.web.pages.rendering import call_api, render_page
from evalserver.web.pages.samples import sample_tasks
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema

MAX_CANDIDATES = 50
"""Jobs offered for selection; others can be selected on the jobs page."""

PLOT_WIDTH = 100.0


class ComparePageQuerySchema(StrictSchema):
    """The page's query: the API's, but fewer than two jobs are allowed."""

    job = fields.List(Text(longest=64), load_default=[], metadata=about("The jobs to compare."))
    baseline = Text(
        longest=64,
        metadata=about("Which of them is the baseline; default: the lowest step, or the oldest."),
    )

    @validates_schema
    def _check_jobs(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        if len(dict.fromkeys(data["job"])) > MAX_JOBS:
            raise ValidationError(f"At most {MAX_JOBS} jobs can be compared.", "job")
        if data.get("baseline", None) not in (None, *data["job"]):
            raise ValidationError("Must be one of the jobs that are compared.", "baseline")


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
    queries, query = request.app[STORE].queries, request[QUERY]
    jobs = {job_id: await queries.with_pruned(job_id) for job_id in dict.fromkeys(query["job"])}
    completed = [job for job in jobs.values() if job.status is Status.COMPLETED]
    selected = order_jobs(completed, query.get("baseline"))
    candidates = await queries.page(
        JobFilter(statuses=frozenset({Status.COMPLETED})), MAX_CANDIDATES
    )
    comparison = None
    if len(selected) >= MIN_JOBS:
        comparison = await call_api(request, get_comparison, job=selected)
        order = {task: place for place, task in enumerate(jobs[selected[0]].request.tasks)}
        comparison["rows"].sort(key=lambda row: order.get(row["task"], len(order)))
        for row in comparison["rows"]:
            _add_intervals(row)
        _link_samples(request, comparison["rows"], jobs)
        for job in comparison["jobs"]:
            job["request"] = asdict(jobs[job["job_id"]].request)
    return render_page(
        request,
        "compare.html",
        selected=selected,
        left_out=[job for job in jobs.values() if job.job_id not in selected],
        candidates=[(job, asdict(job.request)) for job in candidates.jobs],
        comparison=comparison,
        sizes=_find_sizes(comparison["rows"]) if comparison else {},
        notes=_number_notes(comparison["rows"]) if comparison else [],
    )


def order_jobs(jobs: Sequence[Job], baseline: str | None) -> list[str]:
    """Return the ids of jobs in the order of comparison: the baseline, then by step or age.

    The default baseline is the job of the lowest step if every job has a step, also as a label that
    is any number, else the job that was submitted first.
    """
    steps = {job.job_id: _parse_step(job) for job in jobs}
    has_steps = None not in steps.values()
    ordered = sorted(jobs, key=lambda job: (steps[job.job_id] if has_steps else 0, job.seq))
    ordered.sort(key=lambda job: job.job_id != baseline)
    return [job.job_id for job in ordered]


def _parse_step(job: Job) -> float | None:
    if job.step is not None:
        return job.step
    try:
        step = float(job.labels.get(STEP, ""))
    except ValueError:
        return None
    return step if math.isfinite(step) else None


def _link_samples(
    request: web.Request, rows: Sequence[dict[str, Any]], jobs: Mapping[str, Job]
) -> None:
    """Mark the values of the first row of each task whose samples can be put beside the
    baseline's."""
    tasks = {
        job_id: () if job.pruned_at else sample_tasks(request, job) for job_id, job in jobs.items()
    }
    seen: set[str] = set()
    for row in rows:
        baseline, *others = row["values"]
        for value in others:
            has_both = all(row["task"] in tasks[each["job_id"]] for each in (baseline, value))
            value["has_samples"] = has_both and row["task"] not in seen
        seen.add(row["task"])


def _find_sizes(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return the numbers of documents of each task whose jobs differ in them."""
    sizes: dict[str, set[int]] = {}
    for row in rows:
        counts = {value["n"] for value in row["values"] if value["n"] is not None}
        sizes.setdefault(row["task"], set()).update(counts)
    return {task: sorted(counts) for task, counts in sizes.items() if len(counts) > 1}


def _number_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the different notes on differences, and give each difference the number of its note.

    Many tasks have the same note.
    """
    numbers: dict[str, int] = {}
    for row in rows:
        for value in row["values"]:
            difference = value["difference"]
            if difference and difference["note"]:
                number = numbers.setdefault(difference["note"], len(numbers) + 1)
                difference["note_number"] = number
    return list(numbers)


def _add_intervals(row: dict[str, Any]) -> None:
    """Add the confidence interval of each value of a row, its bar, and the row's decimal places."""
    for value in row["values"]:
        value["interval"] = find_interval(value, row["higher_is_better"])
    row["bars"] = make_bars(row["values"])
    row["places"] = shared_places([value["value"] for value in row["values"]])


def find_interval(
    value: Mapping[str, Any], higher_is_better: bool | None
) -> tuple[float, float] | None:
    """Return the bounds of a value's confidence interval, from 0 to 1 for a fraction.

    None for a value without a standard error.
    """
    if value["value"] is None or value["stderr"] is None:
        return None
    margin = QUANTILE * value["stderr"]
    low, high = value["value"] - margin, value["value"] + margin
    if is_fraction(value["value"], value["stderr"], value["n"], higher_is_better):
        return max(low, 0.0), min(high, 1.0)
    return low, high


def make_bars(values: Sequence[Mapping[str, Any]]) -> list[Bar | None]:
    """Return the bars of a row on one scale that includes 0; None for a missing value."""
    present = [
        each
        for value in values
        if value["value"] is not None
        for each in (value["value"], *(value["interval"] or ()))
    ]
    low, high = min([0.0, *present]), max([0.0, *present])
    # Fractions are drawn on a scale from 0 to 1.
    high = 1.0 if low == 0 and 0.2 < high <= 1 else high
    scale = PLOT_WIDTH / ((high - low) or 1.0)
    return [None if each["value"] is None else _make_bar(each, low, scale) for each in values]


def _make_bar(value: Mapping[str, Any], low: float, scale: float) -> Bar:
    zero, end = -low * scale, (value["value"] - low) * scale
    bounds = [round((each - low) * scale, 2) for each in value["interval"] or ()]
    return Bar(
        zero=round(zero, 2),
        start=round(min(zero, end), 2),
        length=round(abs(end - zero), 2),
        end=round(end, 2),
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
    )
