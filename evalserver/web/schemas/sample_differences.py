"""Schemas of the response of ``GET /compare/samples/{task}``."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.outputs import Change
from evalserver.web.schemas.compare_responses import OTHER_JOB_ID
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema


class JobOfSamplesSchema(ResponseSchema):
    """One of the two jobs, and what judges its samples."""

    job_id = JobId()
    attempt = fields.Integer()
    engine = fields.String()
    model = fields.String(metadata=about("As the request named it."))
    task = fields.String(metadata=about("What this job calls the task."))
    metric = fields.String(allow_none=True, metadata=about("null when nothing gives scores."))
    filter = fields.String(allow_none=True)
    samples = fields.Integer(metadata=about("Samples under this filter."))
    unreadable = fields.Integer(metadata=about("Lines that cannot be read."))


class ComparedSampleSchema(ResponseSchema):
    """One job's answer to the document."""

    index = fields.Integer(metadata=about("Line number, from 0."))
    doc_id = fields.Raw(metadata=about("The harness's id of the document."))
    right = fields.Boolean(allow_none=True, metadata=about("null when no metric decides."))
    score = fields.Float(allow_none=True)
    problem = fields.String(allow_none=True, metadata=about("Why the sample is not shown."))
    sample = fields.Raw(metadata=about("What the harness wrote."))


class ComparedDocumentSchema(ResponseSchema):
    """A document, and the answers of both jobs."""

    change = fields.Enum(
        Change,
        by_value=fields.String,
        metadata=about(
            "From the baseline to the job. `lower`, `higher` and `equal` are of scores that are not"
            " only 0 and 1; `unjudged` has no score in one of the jobs."
        ),
    )
    paired_by = fields.String(
        allow_none=True,
        metadata=about("`id`, or `content` where the ids differ; null of one job alone."),
    )
    baseline = fields.Nested(
        ComparedSampleSchema, allow_none=True, metadata=about("null if it has no such document.")
    )
    job = fields.Nested(
        ComparedSampleSchema, allow_none=True, metadata=about("null if it has no such document.")
    )


class SampleDifferencesSchema(ResponseSchema):
    """A page of the documents of a task, those that changed first."""

    EXAMPLE = MappingProxyType(
        {
            "task": "capitals",
            "jobs": [
                {
                    "job_id": job_id,
                    "attempt": 1,
                    "engine": "lm_eval",
                    "model": "local-completions",
                    "task": "capitals",
                    "metric": "acc",
                    "filter": "none",
                    "samples": 48,
                    "unreadable": 0,
                }
                for job_id in (JOB_ID, OTHER_JOB_ID)
            ],
            "counts": {
                **{change.value: 0 for change in Change},
                "right_to_wrong": 1,
                "both_wrong": 12,
                "both_right": 35,
            },
            "paired": 48,
            "paired_by_content": 0,
            "warnings": [],
            "selected": 1,
            "documents": [
                {
                    "change": "right_to_wrong",
                    "paired_by": "id",
                    "baseline": {
                        "index": 0,
                        "doc_id": 0,
                        "right": True,
                        "score": 1.0,
                        "problem": None,
                        "sample": {"doc_id": 0, "acc": 1.0},
                    },
                    "job": {
                        "index": 0,
                        "doc_id": 0,
                        "right": False,
                        "score": 0.0,
                        "problem": None,
                        "sample": {"doc_id": 0, "acc": 0.0},
                    },
                }
            ],
            "next": None,
        }
    )

    task = fields.String()
    jobs = fields.List(fields.Nested(JobOfSamplesSchema), metadata=about("The baseline first."))
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata=about("Documents of each change, whatever the query selects."),
    )
    paired = fields.Integer(metadata=about("Documents that both jobs have."))
    paired_by_content = fields.Integer(
        metadata=about("Those of them that have different ids, or whose ids mean different things.")
    )
    warnings = fields.List(
        fields.String(),
        metadata=about("What to know first, such as that the jobs have little in common."),
    )
    selected = fields.Integer(metadata=about("Documents that the query selects."))
    documents = fields.List(
        fields.Nested(ComparedDocumentSchema), metadata=about("In the order of `change`.")
    )
    next = fields.String(
        allow_none=True, metadata=about("The `cursor` of the next page; null on the last one.")
    )
