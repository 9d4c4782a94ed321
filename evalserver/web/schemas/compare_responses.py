"""Schemas of the response of ``GET /compare``."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from marshmallow import fields

from evalserver.analysis.comparison import ALPHA, CONFIDENCE, FORMULAS, Method
from evalserver.analysis.holm import CORRECTION
from evalserver.analysis.significance import TESTS, SignificanceTest
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time

Name = TypeVar("Name", bound=StrEnum)

OTHER_JOB_ID = "0b1e2c1a-3a0c-4f0e-9c6b-5a0c7d0d7a11"


def formulas_json(formulas: Mapping[Name, tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Return formulas with their sources, by name."""
    return {name.value: formula_json(formula) for name, formula in formulas.items()}


def formula_json(formula: tuple[str, str]) -> dict[str, str]:
    """Return a formula and its source."""
    return {"formula": formula[0], "source": formula[1]}


class ComparedJobSchema(ResponseSchema):
    """One of the compared jobs."""

    job_id = JobId()
    attempt = fields.Integer()
    pruned = fields.Boolean(
        metadata=about("Whether the job was pruned; without its samples it is not paired.")
    )
    engine = fields.String()
    model = fields.String(metadata=about("As the request named it."))
    model_names = fields.List(fields.String(), metadata=about("The harness's names for the model."))
    labels = fields.Dict(keys=fields.String(), values=fields.String())
    series = fields.String(allow_none=True)
    step = fields.Integer(allow_none=True)
    completed_at = Time()


class DifferenceSchema(ResponseSchema):
    """A job's number minus the baseline's."""

    value = fields.Float()
    stderr = fields.Float(allow_none=True)
    low = fields.Float(allow_none=True, metadata=about("Lower bound of the interval."))
    high = fields.Float(allow_none=True, metadata=about("Upper bound of the interval."))
    n = fields.Integer(allow_none=True, metadata=about("Number of paired documents."))
    method = fields.Enum(Method, by_value=fields.String, metadata=about("See `methods`."))
    exceeds_noise = fields.Boolean(
        allow_none=True, metadata=about("Whether the interval excludes 0.")
    )
    improved = fields.Boolean(
        allow_none=True, metadata=about("null when nothing changed, or the direction is unknown.")
    )
    note = fields.String(allow_none=True, metadata=about("A remark for the reader."))
    clusters = fields.Integer(
        allow_none=True,
        metadata=about(
            "Number of clusters of the paired documents, if the standard error takes them into"
            " account."
        ),
    )
    right_to_wrong = fields.Integer(
        allow_none=True,
        metadata=about(
            "Paired documents that the baseline has right and the job wrong; null if scores are not"
            " 0 or 1."
        ),
    )
    wrong_to_right = fields.Integer(
        allow_none=True, metadata=about("Paired documents that the job has right, the other wrong.")
    )
    p_value = fields.Float(
        allow_none=True,
        metadata=about("Probability of such a difference, or a larger one, without a real one."),
    )
    test = fields.Enum(
        SignificanceTest,
        by_value=fields.String,
        allow_none=True,
        metadata=about("How `p_value` was computed: see `tests`."),
    )
    p_adjusted = fields.Float(
        allow_none=True,
        metadata=about(
            "`p_value` corrected for the number of metrics of the job: see `correction`."
        ),
    )
    regressed = fields.Boolean(
        allow_none=True,
        metadata=about(
            "Whether the metric became worse, with `p_adjusted` of at most `significance_level`;"
            " null if that cannot be said."
        ),
    )
    n_to_decide = fields.Integer(
        allow_none=True,
        metadata=about(
            "Paired documents with which the interval would exclude 0, if the difference and the"
            " variance stayed as they are; null if it does, or if no number is known."
        ),
    )


class ComparedValueSchema(ResponseSchema):
    """One job's number; null where the job has none."""

    job_id = JobId()
    value = fields.Float(allow_none=True)
    stderr = fields.Float(allow_none=True, metadata=about("The standard error."))
    n = fields.Integer(allow_none=True, metadata=about("Number of samples."))
    difference = fields.Nested(
        DifferenceSchema,
        allow_none=True,
        metadata=about("Difference from the baseline; null where one of the two has no value."),
    )


class ComparisonRowSchema(ResponseSchema):
    """A task's metric under one filter of the harness."""

    task = fields.String()
    metric = fields.String()
    filter = fields.String()
    higher_is_better = fields.Boolean(allow_none=True)
    values = fields.List(
        fields.Nested(ComparedValueSchema), metadata=about("In the order of the jobs.")
    )


class RegressedMetricSchema(ResponseSchema):
    """A metric that regressed."""

    task = fields.String()
    metric = fields.String()
    filter = fields.String()


class RegressionsSchema(ResponseSchema):
    """Which metrics of a job are worse than the baseline's by more than chance explains."""

    job_id = JobId()
    tested = fields.Integer(metadata=about("Number of metrics with a p-value."))
    regressed = fields.List(fields.Nested(RegressedMetricSchema))


class MethodSchema(ResponseSchema):
    """How a number is computed."""

    formula = fields.String()
    source = fields.String(metadata=about("Reference for the formula."))


class ComparisonSchema(ResponseSchema):
    """The metrics of several jobs; the first job is the baseline."""

    EXAMPLE = MappingProxyType(
        {
            "jobs": [
                {
                    "job_id": job_id,
                    "attempt": 1,
                    "pruned": False,
                    "engine": "lm_eval",
                    "model": "local-completions",
                    "model_names": ["SmolLM2-135M-Instruct"],
                    "labels": {},
                    "series": "sft",
                    "step": step,
                    "completed_at": "2026-11-24T09:41:17.350Z",
                }
                for job_id, step in ((JOB_ID, 100), (OTHER_JOB_ID, 200))
            ],
            "confidence": CONFIDENCE,
            "significance_level": ALPHA,
            "rows": [
                {
                    "task": "capitals",
                    "metric": "acc",
                    "filter": "none",
                    "higher_is_better": True,
                    "values": [
                        {
                            "job_id": JOB_ID,
                            "value": 0.625,
                            "stderr": 0.0706,
                            "n": 48,
                            "difference": None,
                        },
                        {
                            "job_id": OTHER_JOB_ID,
                            "value": 0.75,
                            "stderr": 0.0632,
                            "n": 48,
                            "difference": {
                                "value": 0.125,
                                "stderr": 0.0483,
                                "low": 0.0304,
                                "high": 0.2196,
                                "n": 48,
                                "method": "paired",
                                "exceeds_noise": True,
                                "improved": True,
                                "note": None,
                                "clusters": None,
                                "right_to_wrong": 0,
                                "wrong_to_right": 6,
                                "p_value": 0.03125,
                                "test": "mcnemar",
                                "p_adjusted": 0.03125,
                                "regressed": False,
                                "n_to_decide": None,
                            },
                        },
                    ],
                }
            ],
            "regressions": [{"job_id": OTHER_JOB_ID, "tested": 1, "regressed": []}],
            "methods": formulas_json(FORMULAS),
            "tests": formulas_json(TESTS),
            "correction": formula_json(CORRECTION),
        }
    )

    jobs = fields.List(fields.Nested(ComparedJobSchema))
    confidence = fields.Float(metadata=about("Confidence level of the intervals."))
    significance_level = fields.Float(
        metadata=about("A metric regressed if it is worse with `p_adjusted` of at most this.")
    )
    rows = fields.List(fields.Nested(ComparisonRowSchema))
    regressions = fields.List(
        fields.Nested(RegressionsSchema), metadata=about("One for each job after the baseline.")
    )
    methods = fields.Dict(keys=fields.String(), values=fields.Nested(MethodSchema))
    tests = fields.Dict(keys=fields.String(), values=fields.Nested(MethodSchema))
    correction = fields.Nested(MethodSchema, metadata=about("How `p_adjusted` is computed."))
