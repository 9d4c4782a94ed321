"""Schemas of responses with batches, with an example of each."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.core.lifecycle import Status
from evalserver.web.schemas.evaluate_request import EvaluateSchema
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time
from evalserver.web.schemas.result_responses import MetricSchema

BATCH_ID = "019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f"
"""The batch id in the examples."""


class SubmittedBatchSchema(ResponseSchema):
    """A queued batch."""

    EXAMPLE = MappingProxyType(
        {
            "batch_id": BATCH_ID,
            "count": 1,
            "job_ids": [JOB_ID],
            "message": "1 job queued successfully",
        }
    )

    batch_id = fields.String()
    count = fields.Integer(metadata=about("Number of jobs."))
    job_ids = fields.List(JobId(), metadata=about("In the order of the requests."))
    message = fields.String()


class ExpandedBatchSchema(ResponseSchema):
    """What a batch would queue, as the response to ``?dry_run=1``."""

    EXAMPLE = MappingProxyType({"count": 1, "jobs": [dict(EvaluateSchema.EXAMPLE)]})

    count = fields.Integer(metadata=about("Number of jobs."))
    jobs = fields.List(
        fields.Dict(keys=fields.String()),
        metadata=about("The request of each job, as it could be sent by itself."),
    )


class BatchCountsSchema(ResponseSchema):
    """How many jobs of a batch are in each state, also pruned ones."""

    class Meta(ResponseSchema.Meta):
        include = {status.value: fields.Integer() for status in Status}  # noqa: RUF012


class BatchStateSchema(ResponseSchema):
    """How far a batch is."""

    EXAMPLE = MappingProxyType(
        {
            "batch_id": BATCH_ID,
            "submitted_by": "anonymous",
            "created_at": "2026-11-24T09:30:00.000Z",
            "count": 6,
            "counts": {"queued": 2, "running": 1, "completed": 3, "failed": 0, "cancelled": 0},
            "pruned": 0,
            "finished": False,
            "links": {
                "self": f"/batches/{BATCH_ID}",
                "jobs": f"/jobs?batch_id={BATCH_ID}",
                "results": f"/batches/{BATCH_ID}/results",
            },
        }
    )

    batch_id = fields.String()
    submitted_by = fields.String(metadata=about("Name of the token that submitted it."))
    created_at = Time(metadata=about("When it was submitted."))
    count = fields.Integer(metadata=about("Number of its jobs, without erased ones."))
    counts = fields.Nested(BatchCountsSchema)
    pruned = fields.Integer(metadata=about("How many of these jobs were pruned."))
    finished = fields.Boolean(metadata=about("Whether all of its jobs have finished."))
    links = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata=about("Paths of related resources.")
    )


class BatchesSchema(ResponseSchema):
    """Batches, the newest first."""

    EXAMPLE = MappingProxyType({"batches": [dict(BatchStateSchema.EXAMPLE)]})

    batches = fields.List(fields.Nested(BatchStateSchema))


class CancelledBatchSchema(ResponseSchema):
    """What was done to the jobs of a cancelled batch."""

    EXAMPLE = MappingProxyType(
        {
            "batch_id": BATCH_ID,
            "cancelled": 2,
            "stopping": 1,
            "finished": 3,
            "message": f"Batch {BATCH_ID}: 2 jobs cancelled, 1 is being stopped, 3 had finished",
        }
    )

    batch_id = fields.String()
    cancelled = fields.Integer(metadata=about("Jobs that were queued, and are cancelled."))
    stopping = fields.Integer(
        metadata=about("Jobs that are being stopped, or removed from their cluster.")
    )
    finished = fields.Integer(metadata=about("Jobs that had finished before."))
    message = fields.String()


class BatchMetricSchema(MetricSchema):
    """One metric of a job of a batch."""

    job_id = JobId()
    status = fields.Enum(Status, by_value=fields.String)
    model = fields.String(metadata=about("As the request named it."))
    labels = fields.Dict(keys=fields.String(), values=fields.String())


class BatchResultsSchema(ResponseSchema):
    """The metrics of the jobs of a batch, in the order of submission."""

    EXAMPLE = MappingProxyType(
        {
            "batch_id": BATCH_ID,
            "results": [
                {
                    "job_id": JOB_ID,
                    "status": "completed",
                    "model": "dummy",
                    "labels": {"run": "sft-7b"},
                    "task": "mme",
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
            "next": None,
        }
    )

    batch_id = fields.String()
    results = fields.List(fields.Nested(BatchMetricSchema))
    next = fields.String(
        allow_none=True, metadata=about("The `cursor` of the next page; null on the last one.")
    )
