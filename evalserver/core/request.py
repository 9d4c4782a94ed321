"""The request to evaluate, and the table of its fields: a field is one row.

``docs/extending.md`` says what else a further field needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from evalserver.core.request_fields import Addressee, Kind, RequestField, row, rows_of

SERVER = Addressee.SERVER

MAX_STEP = 2**53 - 1
"""The largest integer that every reader of JSON has exactly."""

KEEP, SUPERSEDE = "keep", "supersede"
"""The values of ``on_newer``."""
REJECT, SKIP = "reject", "skip"
"""The values of ``on_full``."""

LINK, COPY, MARK = "link", "copy", "mark"
"""The values of ``lease``."""

MAX_TASK_BYTES = 100_000
"""Of all task names together: Linux takes no argument of more than 128 KiB."""

MAX_LABELS, MAX_LABEL_LENGTH = 64, 512
"""Labels of a request, and characters of the text of one."""


@dataclass(frozen=True)
class EvaluateRequest:
    """A validated request of ``POST /evaluate``.

    None means that the client did not set the field, so that the harness's default applies.
    """

    model: str = field(
        metadata=row(
            Kind.NAME,
            "The harness's name for the kind of model.",
            example="qwen2_5_vl",
            max_length=512,
            short_option="-m",
            listed_by="models",
        )
    )
    tasks: tuple[str, ...] = field(
        metadata=row(
            Kind.NAMES,
            "Names of registered tasks, groups or tags, together of at most "
            f"{MAX_TASK_BYTES} bytes.",
            example=("mme", "mmmu_val"),
            maximum=1000,
            max_length=256,
            short_option="-t",
            listed_by="tasks",
        )
    )
    model_args: dict[str, Any] | None = field(
        default=None,
        metadata=row(
            Kind.ARGUMENTS,
            "Arguments of the model, such as `pretrained`. They reach it unchanged.",
            example={"pretrained": "Qwen/Qwen2.5-VL-3B-Instruct"},
            short_option="-a",
            neutral=({},),
            engine_default=True,
        ),
    )
    num_fewshot: int | None = field(
        default=None,
        metadata=row(
            Kind.INTEGER,
            "Examples in the prompt.",
            example=5,
            maximum=10_000,
            short_option="-f",
            engine_default=True,
        ),
    )
    batch_size: int | str | None = field(
        default=None,
        metadata=row(
            Kind.BATCH_SIZE,
            "Samples in a batch: a number, `auto`, or `auto:N`.",
            example=16,
            short_option="-b",
            engine_default=True,
        ),
    )
    device: str | None = field(
        default=None,
        metadata=row(
            Kind.NAME,
            "Where the model runs, such as `cuda:0`.",
            example="cuda:0",
            max_length=128,
            engine_default=True,
        ),
    )
    limit: int | float | None = field(
        default=None,
        metadata=row(
            Kind.LIMIT,
            "Samples of each task: a number, a fraction of all between 0 and 1, or -1 for all.",
            example=8,
            neutral=(-1,),
            engine_default=True,
        ),
    )
    gen_kwargs: str | dict[str, Any] | None = field(
        default=None,
        metadata=row(
            Kind.GENERATION_ARGUMENTS,
            "Arguments of generation: an object, or a text `temperature=0,top_p=1`.",
            example={"temperature": 0},
            neutral=({}, ""),
            engine_default=True,
        ),
    )
    harness_args: dict[str, Any] | None = field(
        default=None,
        metadata=row(
            Kind.HARNESS_ARGUMENTS,
            "Options of the harness that have no field, such as `apply_chat_template`; "
            "`docs/engines.md` lists those of each engine.",
            example={"system_instruction": "Answer in one word."},
            option="--harness-arg",
            neutral=({},),
            engine_default=True,
        ),
    )
    log_samples: bool = field(
        default=True,
        metadata=row(Kind.BOOLEAN, "Keep every sample with the model's answer.", example=False),
    )
    predict_only: bool = field(
        default=False,
        metadata=row(
            Kind.BOOLEAN,
            "Let the model answer, but compute no metrics.",
            example=True,
            short_option="-x",
        ),
    )
    num_gpus: int = field(
        default=1,
        metadata=row(
            Kind.INTEGER,
            "GPUs that the evaluation needs; 0 for a model behind an API.",
            example=2,
            addressee=SERVER,
            maximum=1024,
        ),
    )
    num_processes: int | None = field(
        default=None,
        metadata=row(
            Kind.INTEGER,
            "Processes that load the model (default: one a GPU; 1 if "
            "`model_args` spread one model, such as `device_map` or `tensor_parallel_size`).",
            example=2,
            minimum=1,
            maximum=1024,
        ),
    )
    output_dir: str | None = field(
        default=None,
        metadata=row(
            Kind.OUTPUT_DIRECTORY,
            "Directory on the server's machine for the results, inside one that the server "
            "allows. Each attempt gets a directory of its own in it.",
            example="outputs/run-7",
            addressee=SERVER,
            max_length=2048,
        ),
    )
    engine: str | None = field(
        default=None,
        metadata=row(
            Kind.ENGINE,
            "Which harness evaluates; the server's default if absent.",
            example="lm_eval",
            addressee=SERVER,
        ),
    )
    priority: int = field(
        default=0,
        metadata=row(
            Kind.INTEGER,
            "Jobs of a higher priority start first.",
            example=10,
            addressee=SERVER,
            minimum=-1000,
            maximum=1000,
        ),
    )
    labels: dict[str, str] = field(
        default_factory=dict,
        metadata=row(
            Kind.LABELS,
            "The client's own labels, to find the job by.",
            example={"run": "sft-7b"},
            addressee=SERVER,
            option="--label",
            short_option="-l",
        ),
    )
    series: str | None = field(
        default=None,
        metadata=row(
            Kind.TEXT,
            "The training run that the evaluation belongs to; the label `series` if absent.",
            example="sft-7b",
            addressee=SERVER,
            max_length=512,
        ),
    )
    step: int | None = field(
        default=None,
        metadata=row(
            Kind.INTEGER,
            "The step of training that the checkpoint is of; the label `step` if absent and that "
            "is an integer.",
            example=1500,
            addressee=SERVER,
            maximum=MAX_STEP,
        ),
    )
    on_newer: str = field(
        default=KEEP,
        metadata=row(
            Kind.CHOICE,
            "What happens to queued jobs of the same series, submitter, engine, tasks and limit "
            "with a lower step: `keep` leaves them alone, `supersede` cancels them.",
            example=SUPERSEDE,
            addressee=SERVER,
            choices=(KEEP, SUPERSEDE),
        ),
    )
    on_full: str = field(
        default=REJECT,
        metadata=row(
            Kind.CHOICE,
            "What happens when as many jobs of the series wait as the server's operator allows: "
            "`reject` answers 429, `skip` that no job was made. A batch is always rejected.",
            example=SKIP,
            addressee=SERVER,
            choices=(REJECT, SKIP),
        ),
    )
    timeout_s: float | None = field(
        default=None,
        metadata=row(
            Kind.TIME_LIMIT,
            "Seconds that an attempt may take.",
            example=7200.0,
            addressee=SERVER,
            option="--timeout",
            engine_default=True,
        ),
    )
    stall_after_s: float | None = field(
        default=None,
        metadata=row(
            Kind.SECONDS,
            "Seconds without activity after which the evaluation counts as stalled; the server's "
            "setting if absent.",
            example=3600.0,
            addressee=SERVER,
            option="--stall-after",
        ),
    )
    on_stall: str | None = field(
        default=None,
        metadata=row(
            Kind.CHOICE,
            "What happens when it has stalled: `warn` says so, `fail` also stops it, and the job "
            "fails; the server's setting if absent.",
            example="fail",
            addressee=SERVER,
            choices=("warn", "fail"),
        ),
    )
    max_attempts: int = field(
        default=2,
        metadata=row(
            Kind.INTEGER,
            "How many attempts there may be when the machine or the runner fails.",
            example=3,
            addressee=SERVER,
            minimum=1,
            maximum=100,
        ),
    )
    seed: int | list[int | None] | None = field(
        default=None,
        metadata=row(
            Kind.SEED,
            "Seed of the harness's random numbers: a number, or for lmms-eval and lm-eval a list "
            "of the seeds of Python, numpy, torch and the choice of examples, null for none.",
            example=42,
            engine_default=True,
        ),
    )
    use_cache: bool | None = field(
        default=None,
        metadata=row(
            Kind.BOOLEAN,
            "Keep the model's answers, so that a later attempt does not ask again.",
            example=True,
            neutral=(False,),
            engine_default=True,
        ),
    )
    wait_for_path_s: float | None = field(
        default=None,
        metadata=row(
            Kind.SECONDS,
            "Seconds from the submission to wait for a checkpoint that is still being written; "
            "other jobs may start first meanwhile. Without it, the checkpoint must exist.",
            example=1800.0,
            addressee=SERVER,
            option="--wait-for-path",
        ),
    )
    lease: str | None = field(
        default=None,
        metadata=row(
            Kind.CHOICE,
            "Keeps the checkpoint until the job ends, whatever is removed meanwhile: `link` "
            "evaluates hard links to its files, `copy` a copy; `mark` puts a file into it that "
            "asks for it to be kept.",
            example=LINK,
            addressee=SERVER,
            choices=(LINK, COPY, MARK),
        ),
    )
    lmms_engine_kwargs: dict[str, str] | None = field(
        default=None,
        metadata=row(
            Kind.MERGE,
            "Merge a sharded checkpoint of lmms-engine first (`model_path`, `checkpoint_type`, "
            "`output_path`); `model` or `pretrained` in `model_args` becomes the merged one.",
            example={"model_path": "/checkpoints/run-7/checkpoint-1500"},
            addressee=SERVER,
        ),
    )
    env_profile: str | None = field(
        default=None,
        metadata=row(
            Kind.NAME,
            "A set of environment variables for the harness, such as keys of a judge, by the name "
            "that the server's operator gave it.",
            example="azure",
            addressee=SERVER,
            max_length=64,
            engine_default=True,
        ),
    )
    executor: str | None = field(
        default=None,
        metadata=row(
            Kind.NAME,
            "Where the evaluation runs: `local`, the server's own machine, or a cluster by the "
            "name that the server's operator gave it; the default of the engine, or else of the "
            "server, if absent.",
            example="local",
            addressee=SERVER,
            max_length=64,
        ),
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the request with these values, and the defaults of the other fields.

        ``values`` must have the required fields. It does what calling the class does in a fifth of
        the time: that sets every field of a frozen object by a call.
        """
        request = object.__new__(cls)
        request.__dict__.update(DEFAULTS, labels={})
        request.__dict__.update(values)
        return request

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values of some fields.

        It does what ``dataclasses.replace`` does in a fifth of the time, as ``of`` does.
        """
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **values)
        return copy


ARGUMENT_FIELDS = ("model_args", "gen_kwargs", "harness_args")
"""Fields with values of any kind, which may contain secrets."""

REQUEST_FIELDS: Mapping[str, RequestField] = MappingProxyType(dict(rows_of(EvaluateRequest)))
"""The rows of all fields, by name."""

REQUIRED = tuple(name for name, row in REQUEST_FIELDS.items() if row.required)
"""The fields that every request has."""

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {name: row.default for name, row in REQUEST_FIELDS.items() if not row.required}
)
"""The defaults of the fields that are not required; each request has ``labels`` of its own."""
