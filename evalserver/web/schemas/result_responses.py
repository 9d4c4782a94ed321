"""Schemas of responses with the outcome of an evaluation: metrics, samples, files."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.core.lifecycle import Status
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.job_responses import FailedRequestsSchema, FindingSchema
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time


class MetricSchema(ResponseSchema):
    """One metric of a task under one filter of the harness."""

    task = fields.String()
    metric = fields.String()
    filter = fields.String()
    value = fields.Float()
    stderr = fields.Float(allow_none=True, metadata=about("The standard error."))
    n = fields.Integer(allow_none=True, metadata=about("Samples."))
    higher_is_better = fields.Boolean(allow_none=True)
    task_version = fields.String(
        allow_none=True, metadata=about("The task's version, as the harness reports it.")
    )
    num_fewshot = fields.Integer(
        allow_none=True, metadata=about("Examples in a prompt, as the harness reports it.")
    )


class ResultsSchema(ResponseSchema):
    """The metrics of a completed job, or those that a failed job has."""

    EXAMPLE = MappingProxyType(
        {
            "job_id": JOB_ID,
            "status": "completed",
            "attempt": 1,
            "complete": True,
            "pruned": False,
            "model": "local-completions",
            "model_names": ["SmolLM2-135M-Instruct"],
            "engine": "lm_eval",
            "tasks": ["capitals"],
            "labels": {"run": "sft-7b", "step": "1500"},
            "series": None,
            "step": 1500,
            "created_at": "2026-11-24T09:30:00.000Z",
            "completed_at": "2026-11-24T09:41:17.350Z",
            "failed_requests": None,
            "results": [
                {
                    "task": "capitals",
                    "metric": "acc",
                    "filter": "none",
                    "value": 0.625,
                    "stderr": 0.0706,
                    "n": 48,
                    "higher_is_better": True,
                    "task_version": "1.0",
                    "num_fewshot": 0,
                }
            ],
        }
    )

    job_id = JobId()
    status = fields.Enum(Status, by_value=fields.String)
    attempt = fields.Integer()
    complete = fields.Boolean(
        metadata=about(
            "Whether the job is completed; false: a failed job's numbers, as far as it has some."
        )
    )
    pruned = fields.Boolean(
        metadata=about("Whether the job was pruned; its numbers are kept, its files are not.")
    )
    model = fields.String(metadata=about("As the request named it."))
    model_names = fields.List(fields.String(), metadata=about("The harness's names for the model."))
    engine = fields.String()
    tasks = fields.List(fields.String(), metadata=about("Those of the request."))
    labels = fields.Dict(keys=fields.String(), values=fields.String())
    series = fields.String(allow_none=True, metadata=about("The training run that it belongs to."))
    step = fields.Integer(allow_none=True, metadata=about("The step of its checkpoint."))
    created_at = Time(metadata=about("When it was submitted."))
    completed_at = Time(metadata=about("When it finished."))
    failed_requests = fields.Nested(FailedRequestsSchema, allow_none=True)
    results = fields.List(fields.Nested(MetricSchema))


class SampleSchema(ResponseSchema):
    """The model's answer to one document."""

    index = fields.Integer(metadata=about("Line number, from 0."))
    doc_id = fields.Raw(metadata=about("The harness's id of the document."))
    right = fields.Boolean(allow_none=True, metadata=about("null when no metric decides."))
    problem = fields.String(allow_none=True, metadata=about("Why the sample is not shown."))
    sample = fields.Raw(metadata=about("What the harness wrote."))


class SamplesSchema(ResponseSchema):
    """A page of samples, in the order of the harness's file."""

    EXAMPLE = MappingProxyType(
        {
            "job_id": JOB_ID,
            "attempt": 1,
            "task": "capitals",
            "metric": "acc",
            "samples": [
                {
                    "index": 0,
                    "doc_id": 0,
                    "right": True,
                    "problem": None,
                    "sample": {"doc_id": 0, "acc": 1.0},
                }
            ],
            "undecided": 0,
            "findings": [],
            "next": None,
        }
    )

    job_id = JobId()
    attempt = fields.Integer()
    task = fields.String()
    metric = fields.String(
        allow_none=True, metadata=about("The metric that decides what is right.")
    )
    samples = fields.List(fields.Nested(SampleSchema))
    undecided = fields.Integer(
        metadata=about("Samples left out because the metric does not decide.")
    )
    findings = fields.List(
        fields.Nested(FindingSchema),
        metadata=about("What is odd about the samples, such as that not all were written."),
    )
    next = fields.String(
        allow_none=True, metadata=about("The `cursor` of the next page; null on the last one.")
    )


class ArtifactSchema(ResponseSchema):
    """A file in the attempt's output directory."""

    path = fields.String(metadata=about("Relative to the output directory."))
    size = fields.Integer(metadata=about("Bytes."))
    modified_at = Time()
    content_type = fields.String()
    url = fields.String(metadata=about("Path of the download."))


class ArtifactsSchema(ResponseSchema):
    """The files of a job's last attempt."""

    EXAMPLE = MappingProxyType(
        {
            "job_id": JOB_ID,
            "status": "completed",
            "attempt": 1,
            "artifacts": [
                {
                    "path": "SmolLM2-135M/results.json",
                    "size": 4096,
                    "modified_at": "2026-11-24T09:41:17.000+00:00",
                    "content_type": "application/json",
                    "url": f"/jobs/{JOB_ID}/artifacts/SmolLM2-135M/results.json",
                }
            ],
            "truncated": False,
        }
    )

    job_id = JobId()
    status = fields.Enum(Status, by_value=fields.String)
    attempt = fields.Integer()
    artifacts = fields.List(fields.Nested(ArtifactSchema))
    truncated = fields.Boolean(metadata=about("Whether there are more files than listed."))
