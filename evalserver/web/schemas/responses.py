"""Schemas of JSON responses, with an example of each. Those of jobs are in ``job_responses.py``."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, fields

from evalserver.web.schemas.fields import about

JOB_ID = "15fc5ad9-834b-4f7e-a4df-db48f561e89a"
"""The job id in the examples."""


class Health(StrEnum):
    """The state of the server."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Nothing can be written, so no job is accepted."""


class ResponseSchema(Schema):
    """Schema of a response: every key is always present, except those in ``OPTIONAL_FIELDS``."""

    class Meta:
        # The description does not forbid other keys: a later version may add some.
        unknown = EXCLUDE

    OPTIONAL_FIELDS: ClassVar[frozenset[str]] = frozenset()
    EXAMPLE: ClassVar[Mapping[str, Any] | None] = None

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Mark fields that are always present as required, for the OpenAPI description."""
        field_obj.required = field_name not in self.OPTIONAL_FIELDS


class Time(fields.String):
    """A time in ISO 8601, UTC, with milliseconds."""

    def json_schema(self) -> dict[str, Any]:
        """The format."""
        return {"type": "string", "format": "date-time"}


class JobId(fields.String):
    """The id of a job."""

    def json_schema(self) -> dict[str, Any]:
        """The format."""
        return {"type": "string", "format": "uuid"}


class MessageSchema(ResponseSchema):
    """A sentence that says what was done."""

    EXAMPLE = MappingProxyType({"message": f"Job {JOB_ID} cancelled"})

    message = fields.String()


class DrainingSchema(ResponseSchema):
    """Since when the server starts no jobs, who drained it, and why."""

    EXAMPLE = MappingProxyType(
        {
            "since": "2026-11-24T09:30:00.000Z",
            "by": "alice",
            "reason": "new driver",
        }
    )

    since = Time()
    by = fields.String(metadata=about("The name of an administrator's token."))
    reason = fields.String(allow_none=True)


class DrainedSchema(ResponseSchema):
    """The server is draining."""

    EXAMPLE = MappingProxyType(
        {
            "message": "The server is draining: it starts nothing new until it is resumed",
            "draining": dict(DrainingSchema.EXAMPLE),
        }
    )

    message = fields.String()
    draining = fields.Nested(DrainingSchema)


class PrunedSchema(ResponseSchema):
    """How many jobs were removed, or would be."""

    EXAMPLE = MappingProxyType({"message": "12 finished jobs were pruned", "pruned": 12})

    message = fields.String()
    pruned = fields.Integer()


class BackupSchema(ResponseSchema):
    """A copy of the database on the server's machine."""

    EXAMPLE = MappingProxyType(
        {
            "path": "/var/lib/evalserver/backups/evalserver-20261124T093000.000000Z.db",
            "size": 1_048_576,
            "jobs": 12,
            "events": 60,
        }
    )

    path = fields.String(metadata=about("In the server's data directory."))
    size = fields.Integer(metadata=about("Bytes."))
    jobs = fields.Integer()
    events = fields.Integer(metadata=about("Events of the audit log."))


class RefreshedEngineSchema(ResponseSchema):
    """What an engine's harness answered; ``error`` says why it could not be asked."""

    EXAMPLE = MappingProxyType(
        {
            **{"engine": "lmms_eval", "version": "0.7.3", "tasks": 1985, "models": 83},
            **{"seconds": 14.2, "error": None},
        }
    )

    engine = fields.String()
    version = fields.String(allow_none=True)
    tasks = fields.Integer(allow_none=True, metadata=about("How many tasks it knows."))
    models = fields.Integer(allow_none=True, metadata=about("How many models it knows."))
    seconds = fields.Float()
    error = fields.String(allow_none=True)


class RefreshedSchema(ResponseSchema):
    """What the harnesses answered."""

    EXAMPLE = MappingProxyType({"engines": [dict(RefreshedEngineSchema.EXAMPLE)]})

    engines = fields.List(fields.Nested(RefreshedEngineSchema))


class QueueSchema(ResponseSchema):
    """The running and queued jobs, and how many have finished."""

    OPTIONAL_FIELDS = frozenset({"draining"})
    EXAMPLE = MappingProxyType(
        {
            "queue_size": 1,
            "running_job": JOB_ID,
            "running_jobs": [JOB_ID],
            "queued_jobs": ["0b1e2c1a-3a0c-4f0e-9c6b-5a0c7d0d7a11"],
            "completed_jobs": 12,
            "failed_jobs": 1,
            "cancelled_jobs": 2,
        }
    )

    queue_size = fields.Integer(metadata=about("Number of queued jobs."))
    running_job = JobId(allow_none=True, metadata=about("The first of ``running_jobs``."))
    running_jobs = fields.List(
        JobId(), metadata=about("In the order in which they started; at most one for now.")
    )
    queued_jobs = fields.List(JobId(), metadata=about("In the order in which they start."))
    completed_jobs = fields.Integer()
    failed_jobs = fields.Integer()
    cancelled_jobs = fields.Integer()
    draining = fields.Nested(
        DrainingSchema, metadata=about("Present while the server is draining.")
    )


class HealthSchema(ResponseSchema):
    """The health of the server."""

    OPTIONAL_FIELDS = frozenset({"reason", "draining"})
    EXAMPLE = MappingProxyType(
        {
            "status": "healthy",
            "timestamp": "2026-11-24T09:30:00.000Z",
            "queue_size": 1,
        }
    )

    status = fields.Enum(Health, by_value=fields.String)
    timestamp = Time()
    queue_size = fields.Integer(metadata=about("Number of queued jobs."))
    reason = fields.String(metadata=about("Why it is degraded."))
    draining = fields.Boolean(
        metadata=about("Present and true while jobs are accepted, but not started.")
    )


class StateSchema(ResponseSchema):
    """The state of the server."""

    EXAMPLE = MappingProxyType({"status": "ready"})

    status = fields.String()


class TasksSchema(ResponseSchema):
    """The tasks that a harness knows."""

    EXAMPLE = MappingProxyType({"tasks": ["ai2d", "mme", "mmmu_val"]})

    tasks = fields.List(fields.String())


class ModelsSchema(ResponseSchema):
    """The models that a harness knows."""

    EXAMPLE = MappingProxyType({"models": ["llava_hf", "qwen2_vl"]})

    models = fields.List(fields.String())


class FieldErrorSchema(ResponseSchema):
    """One error of a request: the field, and what is allowed there."""

    field = fields.String(metadata=about("Empty for the request as a whole."))
    message = fields.String()


class ProblemSchema(ResponseSchema):
    """Why a request failed (RFC 9457). A rejected request has changed nothing."""

    OPTIONAL_FIELDS = frozenset({"errors"})

    type = fields.String()
    title = fields.String(metadata=about("The status in words."))
    status = fields.Integer()
    detail = fields.String(metadata=about("What was wrong, in a sentence."))
    errors = fields.List(
        fields.Nested(FieldErrorSchema), metadata=about("Every error of the request.")
    )
