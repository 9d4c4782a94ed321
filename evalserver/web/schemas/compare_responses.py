"""Schemas of the response of ``GET /compare``."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.analysis.comparison import CONFIDENCE, FORMULAS, Method
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time

OTHER_JOB_ID = "0b1e2c1a-3a0c-4f0e-9c6b-5a0c7d0d7a11"


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


class MethodSchema(ResponseSchema):
    """How a difference is computed."""

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
                    "labels": {"series": "sft", "step": step},
                    "completed_at": "2026-11-24T09:41:17.350Z",
                }
                for job_id, step in ((JOB_ID, "100"), (OTHER_JOB_ID, "200"))
            ],
            "confidence": CONFIDENCE,
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
                            },
                        },
                    ],
                }
            ],
            "methods": {
                method.value: {"formula": formula, "source": source}
                for method, (formula, source) in FORMULAS.items()
            },
        }
    )

    jobs = fields.List(fields.Nested(ComparedJobSchema))
    confidence = fields.Float(metadata=about("Confidence level of the intervals."))
    rows = fields.List(fields.Nested(ComparisonRowSchema))
    methods = fields.Dict(keys=fields.String(), values=fields.Nested(MethodSchema))
