"""``GET /compare``: how the numbers of completed jobs differ from those of a first one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields

from evalserver.analysis.comparison import (
    CONFIDENCE,
    FORMULAS,
    Difference,
    NotPaired,
    paired_difference,
    unpaired_difference,
)
from evalserver.core.job import Job, Metric
from evalserver.engines import Engine
from evalserver.outputs import ArtifactNotFound, ScoresUnavailable, TaskScores, read_scores
from evalserver.web.api.results import completed
from evalserver.web.api.samples import open_samples
from evalserver.web.http.one_at_a_time import run_stoppable
from evalserver.web.http.responses import json_response
from evalserver.web.keys import COMPARISON_WORK, ENGINES, QUERY, STORE
from evalserver.web.schemas.fields import JsonSchema, Text, about
from evalserver.web.schemas.queries import StrictSchema

FEWEST_JOBS, MOST_JOBS = 2, 10

Key = tuple[str, str, str]
"""Task, metric, filter."""


class DifferentJobs(fields.List[str]):
    """The ids of several jobs, none of them twice."""

    def json_schema(self) -> JsonSchema:
        """How many; of the ids, apispec tells."""
        return {
            "type": "array",
            "minItems": FEWEST_JOBS,
            "maxItems": MOST_JOBS,
            "uniqueItems": True,
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not FEWEST_JOBS <= len(value) <= MOST_JOBS:
            raise ValidationError(
                f"Must be given {FEWEST_JOBS} to {MOST_JOBS} times, a job each time."
            )
        if len(set(value)) < len(value):
            raise ValidationError("Must be different jobs.")
        return super()._deserialize(value, attr, data, **kwargs)


class CompareQuerySchema(StrictSchema):
    """The query of ``GET /compare``."""

    job = DifferentJobs(
        Text(longest=64),
        required=True,
        metadata=about("The id of a completed job; the first is the baseline of all others."),
    )


@dataclass(frozen=True)
class _Evaluated:
    """A completed job, its numbers, and what knows its files."""

    job: Job
    numbers: Mapping[Key, Metric]
    engine: Engine


async def get_comparison(request: web.Request) -> web.Response:
    """``GET /compare``: each number of each job, and its difference from the first job's.

    Where both jobs kept samples, and a number is the mean of what single documents got, it is
    compared document by document: that tells smaller differences from noise.
    """
    jobs = [await _evaluated(request, job_id) for job_id in request[QUERY]["job"]]
    # Reading samples takes a thread, of which there are few.
    rows = await request.app[COMPARISON_WORK].run(
        request, lambda: run_stoppable(lambda stop: compare(jobs, stop.is_set))
    )
    return json_response(
        {
            "jobs": [_named(each.job) for each in jobs],
            "confidence": CONFIDENCE,
            "rows": rows,
            "methods": {
                method.value: {"formula": formula, "source": source}
                for method, (formula, source) in FORMULAS.items()
            },
        }
    )


def compare(jobs: Sequence[_Evaluated], is_over: Callable[[], bool]) -> list[dict[str, Any]]:
    """A row for each number that one of the jobs has; the first job is the baseline.

    Raises ReadCancelled once ``is_over`` says so.
    """
    baseline, *others = jobs
    differences = {each.job.job_id: dict(_differences(baseline, each, is_over)) for each in others}
    directions = {
        key: metric.higher_is_better for each in jobs for key, metric in each.numbers.items()
    }
    return [
        {
            "task": key[0],
            "metric": key[1],
            "filter": key[2],
            "higher_is_better": directions[key],
            "values": [
                _value(each, key, differences.get(each.job.job_id, {}).get(key)) for each in jobs
            ],
        }
        for key in sorted(directions)
    ]


def _value(evaluated: _Evaluated, key: Key, difference: Difference | None) -> dict[str, Any]:
    number = evaluated.numbers.get(key)
    return {
        "job_id": evaluated.job.job_id,
        "value": number and number.value,
        "stderr": number and number.stderr,
        "n": number and number.n,
        "difference": difference and asdict(difference),
    }


def _differences(
    baseline: _Evaluated, other: _Evaluated, is_over: Callable[[], bool]
) -> Iterator[tuple[Key, Difference]]:
    common = sorted(baseline.numbers.keys() & other.numbers.keys())
    for task in dict.fromkeys(key[0] for key in common):
        keys = [key for key in common if key[0] == task]
        try:
            pair = _scores_of_both(baseline, other, keys, is_over)
        except (ScoresUnavailable, NotPaired) as error:
            for key in keys:
                yield (
                    key,
                    unpaired_difference(baseline.numbers[key], other.numbers[key], str(error)),
                )
            continue
        for key in keys:
            yield key, _difference(baseline.numbers[key], other.numbers[key], pair)


def _difference(baseline: Metric, other: Metric, pair: tuple[TaskScores, TaskScores]) -> Difference:
    key = (baseline.metric, baseline.filter)
    try:
        return paired_difference(baseline, other, pair[0].scores[key], pair[1].scores[key])
    except NotPaired as error:
        return unpaired_difference(baseline, other, str(error))


def _scores_of_both(
    baseline: _Evaluated, other: _Evaluated, keys: Sequence[Key], is_over: Callable[[], bool]
) -> tuple[TaskScores, TaskScores]:
    first, second = _scores(baseline, keys, is_over), _scores(other, keys, is_over)
    if not first.has_same_documents(second):
        raise NotPaired("under the same id the two have different documents")
    return first, second


def _scores(evaluated: _Evaluated, keys: Sequence[Key], is_over: Callable[[], bool]) -> TaskScores:
    job, task = evaluated.job, keys[0][0]
    path = evaluated.engine.samples_files(job.result or {}).get(task)
    if path is None:
        raise ScoresUnavailable(f"job {job.job_id} kept no samples of {task}")
    try:
        with open_samples(job, path) as file:
            return read_scores(file, evaluated.engine, [key[1:] for key in keys], is_over)
    except (ArtifactNotFound, OSError):
        raise ScoresUnavailable(f"the samples of job {job.job_id} were removed") from None


async def _evaluated(request: web.Request, job_id: str) -> _Evaluated:
    job, metrics = await completed(request.app[STORE], job_id)
    numbers = {(each.task, each.metric, each.filter): each for each in metrics}
    return _Evaluated(job, numbers, request.app[ENGINES][job.engine])


def _named(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "engine": job.engine,
        "model": job.request.model,
        "model_names": list(job.result or {}),
        "labels": job.labels,
        "completed_at": job.completed_at,
    }
