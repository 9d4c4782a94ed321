"""The schemas of what attempts used."""

from types import MappingProxyType

from marshmallow import fields, validate

from evalserver.store import UsageBy
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import DateTime, QueryInteger
from evalserver.web.schemas.responses import ResponseSchema, Time

MAX_LIMIT = 10_000
DEFAULT_LIMIT = 100


class UsageQuerySchema(StrictSchema):
    """The query of ``GET /usage``."""

    by = fields.String(
        load_default=UsageBy.MONTH.value,
        validate=validate.OneOf(list(UsageBy), error="Must be one of {choices}."),
        metadata=about("What to sum by: `job`, `token`, `series`, `model`, or `month` (UTC)."),
    )
    since = DateTime(metadata=about("Attempts that ended at or after this time."))
    until = DateTime(metadata=about("Attempts that ended before this time."))
    limit = QueryInteger(
        1, MAX_LIMIT, load_default=DEFAULT_LIMIT, metadata=about("Maximum number of rows.")
    )


class UsageTotalSchema(ResponseSchema):
    """What some attempts used."""

    attempts = fields.Integer(metadata=about("Number of attempts that ended."))
    seconds = fields.Float(metadata=about("Their durations, summed."))
    gpu_seconds = fields.Float(
        metadata=about("Their durations, each multiplied by the number of its GPUs, summed.")
    )


class UsageRowSchema(UsageTotalSchema):
    """What the attempts of one job, token, series, model or month used."""

    name = fields.String(
        allow_none=True,
        metadata=about(
            "The id of the job, or the name of the token, series or model, or the month as"
            " `2030-01`; null for jobs without a series."
        ),
    )


class UsageSchema(ResponseSchema):
    """Usage: of attempts that have ended, also of pruned jobs, but not of erased ones."""

    EXAMPLE = MappingProxyType(
        {
            "by": "month",
            "since": "2026-10-01T00:00:00.000Z",
            "until": None,
            "rows": [
                {
                    "name": "2026-11",
                    "attempts": 3,
                    "seconds": 5400.0,
                    "gpu_seconds": 43200.0,
                },
                {"name": "2026-10", "attempts": 1, "seconds": 60.5, "gpu_seconds": 60.5},
            ],
            "groups": 2,
            "total": {"attempts": 4, "seconds": 5460.5, "gpu_seconds": 43260.5},
        }
    )

    by = fields.Enum(UsageBy, by_value=fields.String)
    since = Time(allow_none=True, metadata=about("As requested."))
    until = Time(allow_none=True, metadata=about("As requested."))
    rows = fields.List(
        fields.Nested(UsageRowSchema),
        metadata=about("The largest `gpu_seconds` first, months the latest first."),
    )
    groups = fields.Integer(
        metadata=about("Number of jobs, tokens, series, models or months, also beyond `limit`.")
    )
    total = fields.Nested(UsageTotalSchema, metadata=about("Of all groups."))
