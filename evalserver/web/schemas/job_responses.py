"""What goes out about a job: the marshmallow schemas of its parts, with an example of each."""

from types import MappingProxyType
from typing import Any, ClassVar

from marshmallow import fields

from evalserver.core.lifecycle import Status
from evalserver.core.request import REQUEST_FIELDS
from evalserver.web.schemas.evaluate_request import EvaluateSchema, RequestFields, TaskNames
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time


class RequestSchema(ResponseSchema):
    """A request as the job shows it: every field, with its default where none was given."""

    class Meta(ResponseSchema.Meta):
        include: ClassVar = {
            **RequestFields.Meta.include,
            "tasks": TaskNames(
                fields.String(),
                longest=REQUEST_FIELDS["tasks"].maximum,
                metadata=about(
                    "Names, or paths of task files, which the server's settings allow or did."
                ),
            ),
        }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """What was not given, and has no default of the server's, is null."""
        super().on_bind_field(field_name, field_obj)
        row = REQUEST_FIELDS[field_name]
        field_obj.allow_none = not row.required and row.default is None


class FailedRequestsSchema(ResponseSchema):
    """How many of an evaluation's requests to its model failed."""

    failed = fields.Integer()
    of = fields.Integer()
    share = fields.Float(metadata=about("From 0 to 1."))


class ModelResultSchema(ResponseSchema):
    """What an evaluation found out about one model."""

    OPTIONAL_FIELDS = frozenset({"failed_requests", "weights_changed"})

    results = fields.String(metadata=about("Path of the harness's results file."))
    samples = fields.List(fields.String(), metadata=about("Paths of the samples files."))
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Float()),
        metadata=about("Every number, by task and then by `metric,filter`."),
    )
    failed_requests = fields.Nested(FailedRequestsSchema)
    weights_changed = fields.Boolean(
        metadata=about("Whether somebody wrote to the checkpoint between submission and end.")
    )


class ProgressSchema(ResponseSchema):
    """How far a running evaluation is in one of its stages."""

    stage = fields.String()
    fraction = fields.Float(allow_none=True, metadata=about("From 0 to 1."))
    done = fields.Integer(allow_none=True)
    total = fields.Integer(allow_none=True)
    rate = fields.Float(allow_none=True, metadata=about("Per second."))
    eta_s = fields.Float(allow_none=True, metadata=about("Seconds until the stage's end."))


class HarnessSchema(ResponseSchema):
    """Which harness it was."""

    name = fields.String()
    version = fields.String(allow_none=True)
    commit = fields.String(
        allow_none=True, metadata=about("Of git, if it was installed from there.")
    )


class FileSchema(ResponseSchema):
    """A file of a checkpoint."""

    name = fields.String()
    size = fields.Integer()
    mtime_ns = fields.Integer()
    sha256 = fields.String(allow_none=True, metadata=about("Of a small file, or an index."))


class FingerprintSchema(ResponseSchema):
    """What a checkpoint was at one moment."""

    path = fields.String()
    taken_at = Time()
    digest = fields.String(metadata=about("Of names, sizes, times and small files."))
    content_digest = fields.String(allow_none=True, metadata=about("Of every byte, if wanted."))
    bytes = fields.Integer()
    files = fields.List(fields.Nested(FileSchema))


class CheckpointsSchema(ResponseSchema):
    """The checkpoints of a job by the argument that names them, at three moments."""

    OPTIONAL_FIELDS = frozenset({"submitted", "started", "ended"})

    submitted = fields.Dict(keys=fields.String(), values=fields.Nested(FingerprintSchema))
    started = fields.Dict(keys=fields.String(), values=fields.Nested(FingerprintSchema))
    ended = fields.Dict(keys=fields.String(), values=fields.Nested(FingerprintSchema))


class ProvenanceSchema(ResponseSchema):
    """By what, where and how the numbers were made; before the end, what is known so far."""

    OPTIONAL_FIELDS = frozenset(
        {
            "evalserver", "host", "command", "harness", "interpreter", "python", "packages", "gpus",
            "gpu_names", "harness_version", "git_commit", "driver", "seed", "environment",
            "checkpoints", "weights_changed",
        }
    )  # fmt: skip

    evalserver = fields.String(metadata=about("The server's version."))
    host = fields.String()
    command = fields.List(
        fields.String(), allow_none=True, metadata=about("The harness's command line.")
    )
    harness_version = fields.String(metadata=about("As the harness says, where it does."))
    git_commit = fields.String(metadata=about("Of the directory that the harness ran in."))
    gpus = fields.String(metadata=about("As torch names them, where the harness writes it."))
    harness = fields.Nested(HarnessSchema)
    interpreter = fields.String(allow_none=True)
    python = fields.String(allow_none=True)
    packages = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata=about("Versions that matter.")
    )
    gpu_names = fields.List(fields.String(), metadata=about("As the driver names them."))
    driver = fields.String(allow_none=True, metadata=about("Its version."))
    seed = fields.Integer(allow_none=True, metadata=about("null: the harness's own."))
    environment = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Variables that numbers may depend on; secrets are masked."),
    )
    checkpoints = fields.Nested(CheckpointsSchema)
    weights_changed = fields.Boolean()


class JobSchema(ResponseSchema):
    """A job: one request, and what became of it."""

    EXAMPLE = MappingProxyType(
        {
            "job_id": JOB_ID,
            "status": "completed",
            "created_at": "2026-11-24T09:30:00.000Z",
            "started_at": "2026-11-24T09:30:00.042Z",
            "completed_at": "2026-11-24T09:41:17.350Z",
            "request": {
                **{name: row.default for name, row in REQUEST_FIELDS.items()},
                **EvaluateSchema.EXAMPLE,
            },
            "result": {
                "Qwen__Qwen2-VL-2B-Instruct": {
                    "results": "/data/runs/a/1/output/Qwen2-VL-2B/20261124_094112_results.json",
                    "samples": [
                        "/data/runs/a/1/output/Qwen2-VL-2B/20261124_094112_samples_mme.jsonl"
                    ],
                    "metrics": {"mme": {"acc,none": 0.625, "acc_stderr,none": 0.071}},
                    "failed_requests": {"failed": 0, "of": 16, "share": 0.0},
                }
            },
            "error": None,
            "position_in_queue": None,
            "waiting_for": None,
            "eta_s": None,
            "engine": "lmms_eval",
            "priority": 0,
            "labels": {"run": "sft-7b", "step": "1500"},
            "attempt": 1,
            "max_attempts": 2,
            "progress": None,
            "exit_code": 0,
            "submitted_by": "anonymous",
            "run_dir": "/data/runs/a/1",
            "output_dir": "/data/runs/a/1/output",
            "provenance": {
                "evalserver": "0.1.0",
                "host": "gpu-7",
                "command": ["/opt/lmms-eval/bin/python", "-m", "lmms_eval", "--model=qwen2_vl"],
            },
            "event_id": 3,
            "links": {
                "self": f"/jobs/{JOB_ID}",
                "events": f"/jobs/{JOB_ID}/events",
                "log": f"/jobs/{JOB_ID}/log",
                "results": f"/jobs/{JOB_ID}/results",
                "artifacts": f"/jobs/{JOB_ID}/artifacts",
            },
        }
    )

    job_id = JobId()
    status = fields.Enum(
        Status,
        by_value=fields.String,
        metadata=about("`queued`, `running`, `completed`, `failed` or `cancelled`."),
    )
    created_at = Time(metadata=about("When it was submitted."))
    started_at = Time(allow_none=True, metadata=about("When the last attempt started."))
    completed_at = Time(allow_none=True, metadata=about("When the job finished, however it did."))
    request = fields.Nested(RequestSchema, metadata=about("The request, with defaults filled in."))
    result = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ModelResultSchema),
        allow_none=True,
        metadata=about("What was found out, by model; null unless completed."),
    )
    error = fields.String(allow_none=True, metadata=about("Why it failed, and the log's end."))
    position_in_queue = fields.Integer(
        allow_none=True, metadata=about("Jobs that are before it; null unless queued.")
    )
    waiting_for = fields.String(
        allow_none=True, metadata=about("Why it waits, in words; null unless queued.")
    )
    eta_s = fields.Float(
        allow_none=True,
        metadata=about(
            "Seconds until it will have ended, by the median of completed jobs of its kind."
        ),
    )
    engine = fields.String(metadata=about("The engine that evaluates."))
    priority = fields.Integer(metadata=about("A higher one starts first."))
    labels = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata=about("Labels of the request.")
    )
    attempt = fields.Integer(metadata=about("How often it was started."))
    max_attempts = fields.Integer(metadata=about("Attempts that it may have."))
    progress = fields.Nested(
        ProgressSchema,
        allow_none=True,
        metadata=about("null unless running, and before the harness has told any."),
    )
    exit_code = fields.Integer(allow_none=True, metadata=about("The harness's."))
    submitted_by = fields.String(metadata=about("Name of the token that submitted it."))
    run_dir = fields.String(
        allow_none=True, metadata=about("Directory of the last attempt's log and state.")
    )
    output_dir = fields.String(allow_none=True, metadata=about("Where the harness writes."))
    provenance = fields.Nested(
        ProvenanceSchema,
        allow_none=True,
        metadata=about("Versions, command line, checkpoints: by what the numbers were made."),
    )
    event_id = fields.Integer(metadata=about("The newest event of the audit log about it."))
    links = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata=about("Paths of what belongs to it.")
    )


JOB_KEYS = tuple(JobSchema().fields)
"""For those who answer with a job. Its values are JSON as they are kept: to have the schema look at
each of them took a fifth of an answer's time."""


class JobsSchema(ResponseSchema):
    """A page of jobs, the newest submission first."""

    EXAMPLE = MappingProxyType({"jobs": [dict(JobSchema.EXAMPLE)], "next": None})

    jobs = fields.List(fields.Nested(JobSchema))
    next = fields.String(
        allow_none=True, metadata=about("The `cursor` of the next page; null on the last one.")
    )


class QueuedSchema(ResponseSchema):
    """A job that waits, as the answer to who submitted it or had it tried again."""

    EXAMPLE = MappingProxyType(
        {
            "job_id": JOB_ID,
            "status": "queued",
            "position_in_queue": 2,
            "message": "Job queued successfully. Position in queue: 2",
        }
    )

    job_id = JobId()
    status = fields.Enum(Status, by_value=fields.String)
    position_in_queue = fields.Integer(metadata=about("Jobs that are before it."))
    message = fields.String()


class PlanSchema(ResponseSchema):
    """What would run for a request, as the answer to ``?dry_run=1``; secrets are masked."""

    EXAMPLE = MappingProxyType(
        {
            "engine": "lmms_eval",
            "before": {},
            "command": ["/opt/lmms-eval/bin/python", "-m", "lmms_eval", "--model=qwen2_vl"],
            "shell": "/opt/lmms-eval/bin/python -m lmms_eval --model=qwen2_vl",
            "directory": "/lab",
            "files": {},
            "request": JobSchema.EXAMPLE["request"],
        }
    )

    engine = fields.String()
    before = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata=about("What would be run first, by the name of its stage."),
    )
    command = fields.List(fields.String(), metadata=about("Program and arguments."))
    shell = fields.String(metadata=about("All of it for a shell."))
    directory = fields.String(metadata=about("Where it would run."))
    files = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("What would be written beside it, such as a configuration file."),
    )
    request = fields.Nested(RequestSchema, metadata=about("With all defaults."))
