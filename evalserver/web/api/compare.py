"""``GET /compare``: differences between the metrics of completed jobs and a baseline."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields, validates_schema

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
from evalserver.web.api.results import load_results
from evalserver.web.api.samples import open_samples
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.one_at_a_time import run_stoppable
from evalserver.web.http.responses import json_response
from evalserver.web.keys import COMPARISON_WORK, ENGINES, QUERY, STORE
from evalserver.web.schemas.fields import JsonSchema, Text, about
from evalserver.web.schemas.queries import StrictSchema

MIN_JOBS, MAX_JOBS = 2, 10

Key = tuple[str, str, str]
"""Task, metric, filter."""


class DistinctJobs(fields.List[str]):
    """The ids of several jobs, without duplicates."""

    def json_schema(self) -> JsonSchema:
        """Return the JSON Schema; apispec adds that of the ids."""
        return {
            "type": "array",
            "minItems": MIN_JOBS,
            "maxItems": MAX_JOBS,
            "uniqueItems": True,
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not MIN_JOBS <= len(value) <= MAX_JOBS:
            raise ValidationError(f"Must be given {MIN_JOBS} to {MAX_JOBS} times, once per job.")
        if len(set(value)) < len(value):
            raise ValidationError("Must be different jobs.")
        return super()._deserialize(value, attr, data, **kwargs)


class CompareQuerySchema(StrictSchema):
    """The query of ``GET /compare``."""

    job = DistinctJobs(
        Text(longest=64),
        metadata=about("The id of a completed job; the first is the baseline of all others."),
    )
    batch_id = Text(
        longest=64,
        metadata=about("In place of `job`: the completed jobs of this batch, in its order."),
    )

    @validates_schema
    def _check_source(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        if ("job" in data) == ("batch_id" in data):
            raise ValidationError("Must be given, or else batch_id; not both.", "job")


@dataclass(frozen=True)
class _Evaluation:
    """A completed job, its metrics, and its engine, which knows its files; None if the server has
    no such engine any more."""

    job: Job
    metrics: Mapping[Key, Metric]
    engine: Engine | None


async def get_comparison(request: web.Request) -> web.Response:
    """``GET /compare``: each metric of each job, and its difference from the first job's.

    If both jobs have samples, and a metric is the mean of the scores of its documents, the jobs are
    compared document by document, which detects smaller differences.
    """
    jobs = [await _load_evaluation(request, job_id) for job_id in await _job_ids(request)]
    # Reading samples occupies a thread, so comparisons run one at a time.
    rows = await request.app[COMPARISON_WORK].run(
        request, lambda: run_stoppable(lambda stop: compare(jobs, stop.is_set))
    )
    return json_response(
        {
            "jobs": [_job_json(each.job) for each in jobs],
            "confidence": CONFIDENCE,
            "rows": rows,
            "methods": {
                method.value: {"formula": formula, "source": source}
                for method, (formula, source) in FORMULAS.items()
            },
        }
    )


async def _job_ids(request: web.Request) -> list[str]:
    """Return the ids of the jobs to compare. Raises BadRequest (409), BatchNotFound."""
    if "job" in request[QUERY]:
        return list(request[QUERY]["job"])
    batch_id, batches = request[QUERY]["batch_id"], request.app[STORE].batches
    await batches.batch(batch_id)
    completed = await batches.completed(batch_id)
    if not MIN_JOBS <= len(completed) <= MAX_JOBS:
        raise BadRequest(
            HTTPStatus.CONFLICT,
            f"Batch {batch_id} has {len(completed)} completed jobs; {MIN_JOBS} to {MAX_JOBS} can be"
            " compared. Name some of them by job",
        )
    return completed


def compare(jobs: Sequence[_Evaluation], is_stopped: Callable[[], bool]) -> list[dict[str, Any]]:
    """Return a row for each number that one of the jobs has; the first job is the baseline.

    Raises ReadCancelled once ``is_stopped`` says so.
    """
    baseline, *others = jobs
    differences = {
        each.job.job_id: dict(_differences(baseline, each, is_stopped)) for each in others
    }
    directions = {
        key: metric.higher_is_better for each in jobs for key, metric in each.metrics.items()
    }
    return [
        {
            "task": key[0],
            "metric": key[1],
            "filter": key[2],
            "higher_is_better": directions[key],
            "values": [
                _value_json(each, key, differences.get(each.job.job_id, {}).get(key))
                for each in jobs
            ],
        }
        for key in sorted(directions)
    ]


def _value_json(evaluation: _Evaluation, key: Key, difference: Difference | None) -> dict[str, Any]:
    metric = evaluation.metrics.get(key)
    return {
        "job_id": evaluation.job.job_id,
        "value": metric and metric.value,
        "stderr": metric and metric.stderr,
        "n": metric and metric.n,
        "difference": difference and asdict(difference),
    }


def _differences(
    baseline: _Evaluation, other: _Evaluation, is_stopped: Callable[[], bool]
) -> Iterator[tuple[Key, Difference]]:
    common = sorted(baseline.metrics.keys() & other.metrics.keys())
    for task in dict.fromkeys(key[0] for key in common):
        keys = [key for key in common if key[0] == task]
        try:
            pair = _load_scores_of_both(baseline, other, keys, is_stopped)
        except (ScoresUnavailable, NotPaired) as error:
            for key in keys:
                yield (
                    key,
                    unpaired_difference(baseline.metrics[key], other.metrics[key], str(error)),
                )
            continue
        for key in keys:
            yield key, _difference(baseline.metrics[key], other.metrics[key], pair)


def _difference(baseline: Metric, other: Metric, pair: tuple[TaskScores, TaskScores]) -> Difference:
    key = (baseline.metric, baseline.filter)
    try:
        return paired_difference(baseline, other, pair[0].scores[key], pair[1].scores[key])
    except NotPaired as error:
        return unpaired_difference(baseline, other, str(error))


def _load_scores_of_both(
    baseline: _Evaluation, other: _Evaluation, keys: Sequence[Key], is_stopped: Callable[[], bool]
) -> tuple[TaskScores, TaskScores]:
    first, second = _load_scores(baseline, keys, is_stopped), _load_scores(other, keys, is_stopped)
    if not first.has_same_documents(second):
        raise NotPaired("the two have different documents with the same id")
    return first, second


def _load_scores(
    evaluation: _Evaluation, keys: Sequence[Key], is_stopped: Callable[[], bool]
) -> TaskScores:
    job, task, engine = evaluation.job, keys[0][0], evaluation.engine
    if job.pruned_at is not None:
        raise ScoresUnavailable(f"job {job.job_id} was pruned with its samples")
    if engine is None:
        raise ScoresUnavailable(f"the server has no engine {job.engine} to read samples with")
    path = engine.samples_files(job.result or {}).get(task)
    if path is None:
        raise ScoresUnavailable(f"job {job.job_id} has no samples of {task}")
    try:
        with open_samples(job, path) as file:
            return read_scores(file, engine, [key[1:] for key in keys], is_stopped)
    except (ArtifactNotFound, OSError):
        raise ScoresUnavailable(f"the samples of job {job.job_id} were removed") from None


async def _load_evaluation(request: web.Request, job_id: str) -> _Evaluation:
    job, metrics = await load_results(request.app[STORE], job_id)
    by_key = {(each.task, each.metric, each.filter): each for each in metrics}
    return _Evaluation(job, by_key, request.app[ENGINES].get(job.engine))


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "pruned": job.pruned_at is not None,
        "engine": job.engine,
        "model": job.request.model,
        "model_names": list(job.result or {}),
        "labels": job.labels,
        "completed_at": job.completed_at,
    }
