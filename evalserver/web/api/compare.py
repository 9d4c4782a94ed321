"""``GET /compare``: differences between the metrics of completed jobs and a baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields, validates_schema

from evalserver.analysis.comparison import ALPHA, CONFIDENCE, FORMULAS, Difference
from evalserver.analysis.holm import CORRECTION
from evalserver.analysis.significance import TESTS
from evalserver.core.job import Job
from evalserver.outputs import Evaluation, Key
from evalserver.web.api.compared_jobs import find_differences, load_evaluation
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.one_at_a_time import run_stoppable
from evalserver.web.http.responses import json_response
from evalserver.web.keys import COMPARISON_WORK, QUERY, STORE
from evalserver.web.schemas.compare_responses import formula_json, formulas_json
from evalserver.web.schemas.fields import JsonSchema, Text, about
from evalserver.web.schemas.queries import StrictSchema

MIN_JOBS, MAX_JOBS = 2, 10


class DistinctJobs(fields.List[str]):
    """The ids of several jobs, without duplicates."""

    MIN_JOBS, MAX_JOBS = MIN_JOBS, MAX_JOBS

    def json_schema(self) -> JsonSchema:
        """Return the JSON Schema; apispec adds that of the ids."""
        return {
            "type": "array",
            "minItems": self.MIN_JOBS,
            "maxItems": self.MAX_JOBS,
            "uniqueItems": True,
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        if not self.MIN_JOBS <= len(value) <= self.MAX_JOBS:
            raise ValidationError(f"Must be given {self._times()} times, once per job.")
        if len(set(value)) < len(value):
            raise ValidationError("Must be different jobs.")
        return super()._deserialize(value, attr, data, **kwargs)

    def _times(self) -> str:
        exact = self.MIN_JOBS == self.MAX_JOBS
        return f"{self.MIN_JOBS}" if exact else f"{self.MIN_JOBS} to {self.MAX_JOBS}"


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


async def get_comparison(request: web.Request) -> web.Response:
    """``GET /compare``: each metric of each job, and its difference from the first job's.

    If both jobs have samples, and a metric is the mean of the scores of its documents, the jobs are
    compared document by document, which detects smaller differences.
    """
    jobs = [await load_evaluation(request, job_id) for job_id in await _job_ids(request)]
    # Reading samples occupies a thread, so comparisons run one at a time.
    rows = await request.app[COMPARISON_WORK].run(
        request, lambda: run_stoppable(lambda stop: compare(jobs, stop.is_set))
    )
    return json_response(
        {
            "jobs": [_job_json(each.job) for each in jobs],
            "confidence": CONFIDENCE,
            "significance_level": ALPHA,
            "rows": rows,
            "regressions": [_regressions_json(each.job, rows) for each in jobs[1:]],
            "methods": formulas_json(FORMULAS),
            "tests": formulas_json(TESTS),
            "correction": formula_json(CORRECTION),
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


def compare(jobs: Sequence[Evaluation], is_stopped: Callable[[], bool]) -> list[dict[str, Any]]:
    """Return a row for each number that one of the jobs has; the first job is the baseline.

    Raises ReadCancelled once ``is_stopped`` says so.
    """
    baseline, *others = jobs
    differences = {each.job.job_id: find_differences(baseline, each, is_stopped) for each in others}
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


def _value_json(evaluation: Evaluation, key: Key, difference: Difference | None) -> dict[str, Any]:
    metric = evaluation.metrics.get(key)
    return {
        "job_id": evaluation.job.job_id,
        "value": metric and metric.value,
        "stderr": metric and metric.stderr,
        "n": metric and metric.n,
        "difference": difference and asdict(difference),
    }


def _regressions_json(job: Job, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many metrics of a job were tested, and which of them regressed."""
    differences = [
        (row, value["difference"])
        for row in rows
        for value in row["values"]
        if value["job_id"] == job.job_id and value["difference"]
    ]
    return {
        "job_id": job.job_id,
        "tested": sum(difference["p_value"] is not None for _, difference in differences),
        "regressed": [
            {name: row[name] for name in ("task", "metric", "filter")}
            for row, difference in differences
            if difference["regressed"]
        ],
    }


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "pruned": job.pruned_at is not None,
        "engine": job.engine,
        "model": job.request.model,
        "model_names": list(job.result or {}),
        "labels": job.labels,
        "series": job.series,
        "step": job.step,
        "completed_at": job.completed_at,
    }
