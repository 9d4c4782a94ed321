"""Schemas of responses with jobs, with an example of each."""

from types import MappingProxyType
from typing import Any, ClassVar

from marshmallow import fields, validate

from evalserver.core.lifecycle import Status
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.result_check import CheckStatus, FindingCode
from evalserver.web.schemas.arguments import Arguments
from evalserver.web.schemas.evaluate_request import EvaluateSchema, RequestFields, TaskNames
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.request_fields import Seed
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time


class RequestSchema(ResponseSchema):
    """The request of a job: every field, with defaults filled in."""

    class Meta(ResponseSchema.Meta):
        include: ClassVar = {
            **RequestFields.Meta.include,
            "tasks": TaskNames(
                fields.String(),
                longest=REQUEST_FIELDS["tasks"].maximum,
                metadata=about(
                    "Task names, or paths of task files that the settings allow or once allowed."
                ),
            ),
        }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Let optional fields without a default be null."""
        super().on_bind_field(field_name, field_obj)
        row = REQUEST_FIELDS[field_name]
        field_obj.allow_none = not row.required and row.default is None


class FailedRequestsSchema(ResponseSchema):
    """How many of the evaluation's requests to its model failed."""

    failed = fields.Integer()
    of = fields.Integer()
    share = fields.Float(metadata=about("From 0 to 1."))


class ModelResultSchema(ResponseSchema):
    """The results of one model."""

    OPTIONAL_FIELDS = frozenset({"failed_requests", "weights_changed"})

    results = fields.String(metadata=about("Path of the harness's results file."))
    samples = fields.List(fields.String(), metadata=about("Paths of the samples files."))
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Float(allow_none=True)),
        metadata=about(
            "Every metric, by task and then by `metric,filter`; null for NaN and infinity."
        ),
    )
    failed_requests = fields.Nested(FailedRequestsSchema)
    weights_changed = fields.Boolean(
        metadata=about("Whether the checkpoint changed between submission and end.")
    )


class FindingSchema(ResponseSchema):
    """Something to know about the results."""

    task = fields.String(allow_none=True, metadata=about("null if it concerns all tasks."))
    code = fields.Enum(FindingCode, by_value=fields.String)
    message = fields.String()


class ResultCheckSchema(ResponseSchema):
    """What the check of the results found."""

    status = fields.Enum(
        CheckStatus,
        by_value=fields.String,
        metadata=about(
            "`ok`; `warnings` if there are findings; `failed` if the job failed because of its"
            " results."
        ),
    )
    findings = fields.List(fields.Nested(FindingSchema))


class FailureSchema(ResponseSchema):
    """Why a job failed."""

    code = fields.String(metadata=about("A code of the table of failures."))
    advice = fields.String(metadata=about("What it means, and what to do."))


class ProgressSchema(ResponseSchema):
    """How far a running evaluation is in one of its stages."""

    stage = fields.String()
    fraction = fields.Float(allow_none=True, metadata=about("From 0 to 1."))
    done = fields.Integer(allow_none=True)
    total = fields.Integer(allow_none=True)
    rate = fields.Float(allow_none=True, metadata=about("Per second."))
    eta_s = fields.Float(allow_none=True, metadata=about("Seconds until the stage's end."))


class HarnessSchema(ResponseSchema):
    """The harness that evaluated."""

    OPTIONAL_FIELDS = frozenset({"tree"})

    name = fields.String()
    version = fields.String(allow_none=True)
    commit = fields.String(
        allow_none=True, metadata=about("Git commit that it was installed from, or runs from.")
    )
    tree = fields.String(
        allow_none=True,
        metadata=about("Hash of its files, if it is on `PYTHONPATH` or installed editable."),
    )


class FileSchema(ResponseSchema):
    """A file of a checkpoint."""

    name = fields.String()
    size = fields.Integer()
    mtime_ns = fields.Integer()
    sha256 = fields.String(allow_none=True, metadata=about("Only of small files and index files."))


class FingerprintSchema(ResponseSchema):
    """The state of a checkpoint at one time."""

    path = fields.String()
    taken_at = Time()
    digest = fields.String(metadata=about("Digest of names, sizes, times and small files."))
    content_digest = fields.String(
        allow_none=True, metadata=about("Digest of every byte, if the settings ask for it.")
    )
    bytes = fields.Integer()
    files = fields.List(fields.Nested(FileSchema))


class CheckpointsSchema(ResponseSchema):
    """The checkpoints of a job, by the argument that names them, at three times."""

    OPTIONAL_FIELDS = frozenset({"submitted", "started", "ended"})

    submitted = fields.Dict(keys=fields.String(), values=fields.Nested(FingerprintSchema))
    started = fields.Dict(keys=fields.String(), values=fields.Nested(FingerprintSchema))
    ended = fields.Dict(keys=fields.String(), values=fields.Nested(FingerprintSchema))


class GpuLoadSchema(ResponseSchema):
    """What a job used of the GPUs that it held, as read about every two seconds."""

    peak_memory_bytes = fields.Integer(metadata=about("Of the GPU that used most."))
    mean_utilization = fields.Float(allow_none=True, metadata=about("Percent, of all its GPUs."))
    observed_s = fields.Float(metadata=about("Seconds; less than it ran if a server restarted."))


class ProvenanceSchema(ResponseSchema):
    """How the results were produced; before the end, what is known so far."""

    OPTIONAL_FIELDS = frozenset(
        {
            "evalserver", "host", "cluster_job_id", "command", "harness", "interpreter", "python",
            "packages", "gpus", "gpu_names", "harness_version", "git_commit", "driver", "seed",
            "harness_args", "environment", "checkpoints", "weights_changed", "gpu_load",
            "start", "start_reason",
        }
    )  # fmt: skip

    evalserver = fields.String(metadata=about("The server's version."))
    host = fields.String(metadata=about("Where it ran: the server's own machine, or a node."))
    cluster_job_id = fields.String(metadata=about("Its id on the cluster that it ran on."))
    command = fields.List(
        fields.String(), allow_none=True, metadata=about("The harness's command line.")
    )
    harness_version = fields.String(metadata=about("As the harness reports it."))
    git_commit = fields.String(
        metadata=about("Git commit of the directory that the harness ran in.")
    )
    gpus = fields.String(metadata=about("As torch names them, if the harness reports it."))
    harness = fields.Nested(HarnessSchema)
    interpreter = fields.String(allow_none=True)
    python = fields.String(allow_none=True)
    packages = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Versions of packages that affect results."),
    )
    gpu_names = fields.List(fields.String(), metadata=about("As the driver names them."))
    driver = fields.String(allow_none=True, metadata=about("Version of the GPU driver."))
    seed = Seed(allow_none=True, metadata=about("null for the harness's own default."))
    harness_args = Arguments(
        allow_none=True, metadata=about("Options of the harness; secrets are masked.")
    )
    environment = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Variables that may affect results; secrets are masked."),
    )
    checkpoints = fields.Nested(CheckpointsSchema)
    weights_changed = fields.Boolean()
    gpu_load = fields.Nested(GpuLoadSchema)
    start = fields.String(
        metadata=about(
            "How the attempt was started: `warm` (by a process that had imported the harness) or"
            " `cold`."
        )
    )
    start_reason = fields.String(metadata=about("Why it was started cold."))


class ClusterJobSchema(ResponseSchema):
    """A job as its cluster knows it."""

    id = fields.String()
    command = fields.String(metadata=about("The command that shows it there."))
    node = fields.String(allow_none=True, metadata=about("The node that it runs on."))


class JobSchema(ResponseSchema):
    """A job: a request and its record."""

    class Meta(ResponseSchema.Meta):
        # An attribute of this name has a meaning in marshmallow.
        include: ClassVar = {
            "partial": fields.Dict(
                keys=fields.String(),
                values=fields.Dict(keys=fields.String(), values=fields.Float(allow_none=True)),
                allow_none=True,
                metadata=about(
                    "The metrics of a job that failed but has some, by task and then by"
                    " `metric,filter`."
                ),
            )
        }

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
                "executor": "local",
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
            "result_check": {"status": "ok", "findings": []},
            "partial": None,
            "error": None,
            "failure": None,
            "gpus": None,
            "stalled_since": None,
            "executor": "local",
            "handed_over_at": None,
            "batch_id": None,
            "series": None,
            "step": None,
            "cluster_job": None,
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
    completed_at = Time(allow_none=True, metadata=about("When the job finished, with any outcome."))
    request = fields.Nested(RequestSchema, metadata=about("The request, with defaults filled in."))
    result = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ModelResultSchema),
        allow_none=True,
        metadata=about("The results by model; null unless completed."),
    )
    result_check = fields.Nested(
        ResultCheckSchema,
        allow_none=True,
        metadata=about("What the check of the results found; null if there were none to check."),
    )
    error = fields.String(
        allow_none=True, metadata=about("Why the job failed, and the end of the log.")
    )
    failure = fields.Nested(
        FailureSchema, allow_none=True, metadata=about("null unless the job failed.")
    )
    gpus = fields.List(
        fields.String(),
        allow_none=True,
        metadata=about("The GPUs that the last attempt got; null if the server managed none then."),
    )
    stalled_since = Time(
        allow_none=True,
        metadata=about("Since when a running job has written nothing and used no GPU."),
    )
    executor = fields.String(
        metadata=about(
            "Where it runs: `local`, the server's own machine, or the name of a cluster."
        )
    )
    handed_over_at = Time(
        allow_none=True,
        metadata=about(
            "When the last attempt was handed over to a cluster, where it may wait for its start."
        ),
    )
    batch_id = fields.String(
        allow_none=True,
        metadata=about("The batch that it was submitted with; null if it was submitted alone."),
    )
    series = fields.String(allow_none=True, metadata=about("The training run that it belongs to."))
    step = fields.Integer(
        allow_none=True, metadata=about("The step of training that its checkpoint is of.")
    )
    cluster_job = fields.Nested(
        ClusterJobSchema,
        allow_none=True,
        metadata=about("The job as its cluster knows it, while it waits or runs there."),
    )
    position_in_queue = fields.Integer(
        allow_none=True,
        metadata=about("Number of jobs ahead of it, with and without GPUs; null unless queued."),
    )
    waiting_for = fields.String(
        allow_none=True, metadata=about("Why the job waits, in words; null unless queued.")
    )
    eta_s = fields.Float(
        allow_none=True,
        metadata=about(
            "Estimated seconds until the job ends: the median of similar completed jobs."
        ),
    )
    engine = fields.String(metadata=about("The engine that evaluates."))
    priority = fields.Integer(metadata=about("Jobs of a higher priority start first."))
    labels = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata=about("Labels of the request.")
    )
    attempt = fields.Integer(metadata=about("Number of the current or last attempt."))
    max_attempts = fields.Integer(metadata=about("Maximum number of attempts."))
    progress = fields.Nested(
        ProgressSchema,
        allow_none=True,
        metadata=about("null unless running and the harness has reported progress."),
    )
    exit_code = fields.Integer(allow_none=True, metadata=about("Exit code of the harness."))
    submitted_by = fields.String(metadata=about("Name of the token that submitted it."))
    run_dir = fields.String(
        allow_none=True, metadata=about("Directory of the last attempt's log and state.")
    )
    output_dir = fields.String(
        allow_none=True, metadata=about("Directory that the harness writes to.")
    )
    provenance = fields.Nested(
        ProvenanceSchema,
        allow_none=True,
        metadata=about("Versions, command line and checkpoints that produced the results."),
    )
    event_id = fields.Integer(
        metadata=about(
            "Newest audit event of the job; of a finished one, that with which it finished."
        )
    )
    links = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata=about("Paths of related resources.")
    )


JOB_KEYS = tuple(JobSchema().fields)
"""The keys of a job in responses. Its values are stored as JSON; passing each through the schema
took a fifth of the response time."""


class JobsSchema(ResponseSchema):
    """A page of jobs, the newest submission first."""

    EXAMPLE = MappingProxyType({"jobs": [dict(JobSchema.EXAMPLE)], "next": None})

    jobs = fields.List(fields.Nested(JobSchema))
    next = fields.String(
        allow_none=True, metadata=about("The `cursor` of the next page; null on the last one.")
    )


SKIPPED = "skipped"
"""The status of a submission that made no job."""


class QueuedSchema(ResponseSchema):
    """A queued job, as the response to a submission or a retry."""

    EXAMPLE = MappingProxyType(
        {
            "job_id": JOB_ID,
            "status": "queued",
            "position_in_queue": 2,
            "message": "Job queued successfully. Position in queue: 2",
        }
    )

    job_id = JobId(allow_none=True, metadata=about("null if no job was made."))
    status = fields.String(
        validate=validate.OneOf([*Status, SKIPPED]),
        metadata=about(
            "`queued`, or `skipped` if no job was made, as `on_full` of the request says."
        ),
    )
    position_in_queue = fields.Integer(
        allow_none=True, metadata=about("Number of jobs ahead of it, with and without GPUs.")
    )
    message = fields.String()


class PlanSchema(ResponseSchema):
    """What a request would run, as the response to ``?dry_run=1``; secrets are masked."""

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
        metadata=about("Command lines of earlier stages, by the stage's name."),
    )
    command = fields.List(fields.String(), metadata=about("Program and arguments."))
    shell = fields.String(metadata=about("The whole command for a shell."))
    directory = fields.String(metadata=about("Working directory."))
    files = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Files that would be written, such as a configuration file."),
    )
    request = fields.Nested(RequestSchema, metadata=about("The request with all defaults."))
