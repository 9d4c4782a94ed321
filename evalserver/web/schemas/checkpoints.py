"""The schemas of which jobs need a checkpoint."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields, validate

from evalserver.checkpoints.leases.needs import Relation
from evalserver.core.lifecycle import UNFINISHED
from evalserver.core.request import COPY, LINK, MARK
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.responses import ResponseSchema

MAX_PATH_LENGTH = 4096
JOB_ID = "8d9c8f0e-3a5b-4f8e-9d53-0c9d8f3f6c11"


class AbsolutePath(Text):
    """An absolute path."""

    PATTERN = Text.PATTERN.replace("^", "^/", 1)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        path = super()._deserialize(value, attr, data, **kwargs)
        if not path.startswith("/"):
            raise ValidationError("Must be an absolute path, which begins with '/'.")
        return path


class CheckpointUseQuerySchema(StrictSchema):
    """The query of ``GET /checkpoints``."""

    path = AbsolutePath(
        required=True,
        longest=MAX_PATH_LENGTH,
        metadata=about("An absolute path on the server's machine."),
    )


class NeedSchema(ResponseSchema):
    """A job that needs a checkpoint."""

    job_id = fields.String()
    status = fields.String(
        validate=validate.OneOf(sorted(UNFINISHED)), metadata=about("`queued` or `running`.")
    )
    path = fields.String(metadata=about("What the job needs."))
    relation = fields.Enum(
        Relation,
        by_value=fields.String,
        metadata=about("Where that is: the `same` path, `below` or `above` it."),
    )
    lease = fields.String(
        allow_none=True,
        validate=validate.OneOf((LINK, COPY, MARK)),
        metadata=about("As requested."),
    )
    attempt = fields.Integer(metadata=about("The current or last attempt; 0 before the first."))
    max_attempts = fields.Integer(metadata=about("How many there may be."))
    series = fields.String(allow_none=True)
    step = fields.Integer(allow_none=True)


class CheckpointUseSchema(ResponseSchema):
    """The jobs that need a path, the earliest submission first."""

    EXAMPLE = MappingProxyType(
        {
            "path": "/runs/7b/checkpoint-100",
            "in_use": True,
            "jobs": [
                {
                    "job_id": JOB_ID,
                    "status": "queued",
                    "path": "/runs/7b/checkpoint-100",
                    "relation": "same",
                    "lease": None,
                    "attempt": 0,
                    "max_attempts": 2,
                    "series": "7b-run3",
                    "step": 100,
                }
            ],
        }
    )

    path = fields.String(metadata=about("As requested."))
    in_use = fields.Boolean(metadata=about("Whether a job needs it."))
    jobs = fields.List(fields.Nested(NeedSchema))
