"""The schemas of GPUs: who holds them, and what they do."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.web.schemas.fields import PublicText, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.responses import JOB_ID, ResponseSchema, Time


class QuarantineQuerySchema(StrictSchema):
    """The query of ``PUT /gpus/{gpu}/quarantine``."""

    reason = PublicText(longest=200, metadata=about("The reason, shown to those whose jobs wait."))


class HolderSchema(ResponseSchema):
    """Who holds a GPU, and since when."""

    kind = fields.String(metadata=about("`job` or `service`."))
    id = fields.String()
    since = Time()


class QuarantineSchema(ResponseSchema):
    """A quarantine: since when, by whom, and why."""

    since = Time()
    by = fields.String(metadata=about("`server`: its memory stayed in use after a job."))
    reason = fields.String()


class GpuProcessSchema(ResponseSchema):
    """A process on a GPU."""

    pid = fields.Integer()
    user = fields.String(allow_none=True, metadata=about("Null if the process is not visible."))
    memory_used = fields.Integer(allow_none=True, metadata=about("Bytes, if the driver says."))
    job_id = fields.String(allow_none=True, metadata=about("The job that started it, if one did."))


class GpuHistorySchema(ResponseSchema):
    """The readings of the last minutes, oldest first."""

    interval_s = fields.Float(metadata=about("Seconds between two readings."))
    memory_used = fields.List(fields.Integer(), metadata=about("Bytes."))
    utilization = fields.List(fields.Integer(allow_none=True), metadata=about("Percent."))


class GpuSchema(ResponseSchema):
    """A managed GPU. Its readings are null where NVML is missing or cannot read it."""

    id = fields.String(metadata=about("Its UUID, or its name in `--gpus` where NVML is missing."))
    index = fields.Integer(allow_none=True)
    name = fields.String(allow_none=True)
    status = fields.String(
        metadata=about("`free`, `held`, or `unavailable`: not held, and must not be used now.")
    )
    reason = fields.String(
        allow_none=True, metadata=about("Why it is unavailable, as the rest of a sentence.")
    )
    holder = fields.Nested(HolderSchema, allow_none=True)
    quarantine = fields.Nested(
        QuarantineSchema,
        allow_none=True,
        metadata=about("Also set while a job runs on until it ends."),
    )
    memory_total = fields.Integer(allow_none=True, metadata=about("Bytes."))
    memory_used = fields.Integer(allow_none=True, metadata=about("Bytes."))
    utilization = fields.Integer(allow_none=True, metadata=about("Percent."))
    temperature = fields.Integer(allow_none=True, metadata=about("Degrees Celsius."))
    processes = fields.List(fields.Nested(GpuProcessSchema))
    history = fields.Nested(GpuHistorySchema)


class GpusSchema(ResponseSchema):
    """The managed GPUs; none with ``--gpus none``."""

    EXAMPLE = MappingProxyType(
        {
            "gpus": [
                {
                    "id": "GPU-6c1b1a3e-0b0c-4c4e-9d43-3f1de3f4d7a1",
                    "index": 0,
                    "name": "NVIDIA H100 80GB HBM3",
                    "status": "held",
                    "reason": None,
                    "holder": {"kind": "job", "id": JOB_ID, "since": "2026-11-24T09:30:00.000Z"},
                    "quarantine": None,
                    "memory_total": 85_520_809_984,
                    "memory_used": 41_875_931_136,
                    "utilization": 97,
                    "temperature": 64,
                    "processes": [
                        {
                            "pid": 4242,
                            "user": "evalserver",
                            "memory_used": 41_800_000_000,
                            "job_id": JOB_ID,
                        }
                    ],
                    "history": {
                        "interval_s": 2.0,
                        "memory_used": [41_875_931_136, 41_875_931_136],
                        "utilization": [96, 97],
                    },
                }
            ]
        }
    )

    gpus = fields.List(fields.Nested(GpuSchema))
