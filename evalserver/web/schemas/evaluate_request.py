"""The request to evaluate: its fields, what each takes, and what the server's settings allow."""

from collections.abc import Mapping
from dataclasses import MISSING
from types import MappingProxyType
from typing import Any

from marshmallow import Schema, ValidationError, fields

from evalserver.core.job import EvaluateRequest
from evalserver.engines import Engine, merge
from evalserver.web.schemas.arguments import Arguments, GenerationArguments
from evalserver.web.schemas.fields import (
    JsonSchema,
    Labels,
    Listing,
    Name,
    Seconds,
    Switch,
    Whole,
    about,
)
from evalserver.web.schemas.path_fields import MergeArguments, OutputDirectory
from evalserver.web.schemas.queries import EngineName, StrictSchema
from evalserver.web.schemas.request_fields import BatchSize, Limit, TaskName

MOST_TASK_BYTES = 100_000
"""Of all task names together: Linux takes no argument of more than 128 KiB."""

DEFAULTS: Mapping[str, Any] = {
    name: field.default if field.default_factory is MISSING else field.default_factory()
    for name, field in EvaluateRequest.__dataclass_fields__.items()
    if not (field.default is MISSING and field.default_factory is MISSING)
}
"""What holds for a field of a request that is not given; None: the harness's own default."""

REQUIRED = tuple(name for name in EvaluateRequest.__dataclass_fields__ if name not in DEFAULTS)


PRIORITIES = (-1000, 1000)
"""The lowest and the highest."""


class TimeLimit(Seconds):
    """How long an evaluation may take."""

    def json_schema(self) -> JsonSchema:
        """The bounds, as far as the server's settings allow."""
        longest = self._longest()
        return super().json_schema() | ({"maximum": longest} if longest else {})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        seconds = super()._deserialize(value, attr, data, **kwargs)
        longest = self._longest()
        if longest is not None and seconds > longest:
            raise ValidationError(f"Must be at most {longest:g} seconds on this server.")
        return seconds

    def _longest(self) -> float | None:
        return self.root.bounds.max_timeout if isinstance(self.root, StrictSchema) else None


class EvaluatingEngine(EngineName):
    """The name of an engine that evaluates."""

    def _known(self) -> tuple[str, ...]:
        return tuple(name for name in super()._known() if name != merge.NAME)


class TaskNames(Listing):
    """Names of tasks, which a harness takes as one argument."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        names: list[str] = super()._deserialize(value, attr, data, **kwargs)
        size = len(",".join(names).encode())
        if size > MOST_TASK_BYTES:
            raise ValidationError(
                f"Must have at most {MOST_TASK_BYTES} bytes in total, has {size}: "
                "name a group or a wildcard, or submit several jobs."
            )
        return names


class RequestFields(Schema):
    """The fields of a request, as it comes in and as the job shows it."""

    model = Name(
        required=True,
        longest=512,
        metadata=about("The harness's name for the kind of model; `GET /models` lists them."),
    )
    tasks = TaskNames(
        TaskName(longest=256),
        longest=1000,
        required=True,
        metadata=about(
            "Names of registered tasks, groups or tags; `GET /tasks` lists them. Together they "
            f"may have {MOST_TASK_BYTES} bytes."
        ),
    )
    model_args = Arguments(
        metadata=about("Arguments of the model, such as `pretrained`. They arrive as they are.")
    )
    num_fewshot = Whole(0, 10_000, metadata=about("Examples in the prompt."))
    batch_size = BatchSize(metadata=about("Samples in a batch: a number, `auto`, or `auto:N`."))
    device = Name(longest=128, metadata=about("Where the model runs, such as `cuda:0`."))
    limit = Limit(
        metadata=about(
            "Samples of each task: a number, a fraction of all between 0 and 1, or -1 for all."
        )
    )
    gen_kwargs = GenerationArguments(
        metadata=about("Arguments of generation: an object, or a text `temperature=0,top_p=1`.")
    )
    log_samples = Switch(metadata=about("Keep every sample with the model's answer."))
    predict_only = Switch(metadata=about("Let the model answer, but compute no metrics."))
    num_gpus = Whole(1, 1024, metadata=about("GPUs that the evaluation needs."))
    output_dir = OutputDirectory(
        longest=2048,
        metadata=about(
            "Directory of the server's machine for the results, in one that the server allows. "
            "Each attempt gets a directory of its own in it."
        ),
    )
    engine = EvaluatingEngine(metadata=about("Which harness evaluates."))
    priority = Whole(*PRIORITIES, metadata=about("A higher one goes before what waits."))
    labels = Labels(metadata=about("Names and texts of the client's own, to find the job by."))
    timeout_s = TimeLimit(metadata=about("Seconds that an attempt may take."))
    max_attempts = Whole(
        1, 100, metadata=about("How often it may be tried when the machine or the runner fails.")
    )
    seed = Whole(0, 2**32 - 1, metadata=about("For what the harness draws at random."))
    use_cache = Switch(
        metadata=about("Keep the model's answers, so that a later attempt does not ask again.")
    )
    wait_for_path_s = Seconds(
        metadata=about(
            "Seconds, from the submission on, to wait for a checkpoint that is still written to; "
            "other jobs may go before meanwhile. Without it, a checkpoint must be there."
        )
    )
    lmms_engine_kwargs = MergeArguments(
        metadata=about(
            "A checkpoint in shards, as lmms-engine leaves it, that is merged before it is "
            "evaluated; `model` or `pretrained` in `model_args` becomes the merged one."
        )
    )


class EvaluateSchema(StrictSchema, RequestFields):
    """A request to evaluate a model on tasks. null stands for a field that is not given."""

    EXAMPLE = MappingProxyType(
        {
            "model": "qwen2_vl",
            "model_args": {"pretrained": "Qwen/Qwen2-VL-2B-Instruct"},
            "tasks": ["mme", "mmmu_val"],
            "limit": 8,
            "labels": {"run": "sft-7b", "step": "1500"},
        }
    )

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """What is not required may be null, and has a default that can be told."""
        field_obj.allow_none = not field_obj.required
        if DEFAULTS.get(field_name) is not None:
            field_obj.metadata = {**field_obj.metadata, "default": DEFAULTS[field_name]}

    def load(self, data: Any, **_kwargs: Any) -> EvaluateRequest:
        """The request in a JSON object. Raises ValidationError, with the faults of every field.

        Only the fields that are there are looked at. marshmallow's own way, which asks each of the
        twenty whether it may be absent, took as long as all else that is done for a submission.
        """
        values: dict[str, Any] = {}
        faults: dict[str, Any] = {
            name: [self.fields[name].error_messages["required"]]
            for name in REQUIRED
            if name not in data
        }
        for name, given in data.items():
            field = self.fields.get(name)
            if field is None:
                faults[name] = [self.error_messages["unknown"]]
            elif given is not None or not field.allow_none:
                try:
                    values[name] = field.deserialize(given, name, data)
                except ValidationError as error:
                    faults[name] = error.messages
        if faults:
            raise ValidationError(faults)
        return EvaluateRequest(**{**values, "tasks": tuple(values["tasks"])})


def check_engine_defaults(engine: Engine) -> None:
    """Raise ValueError, naming table and key, if a request could not have an engine's defaults."""
    request_fields = RequestFields().fields
    for name, value in engine.settings.defaults.items():
        try:
            request_fields[name].deserialize(value, name, {})
        except ValidationError as error:
            where = f"engines.{engine.name}.defaults.{name}"
            raise ValueError(f"{where}: {error.messages}, got {value!r}") from error


class ChangeJobSchema(StrictSchema):
    """The body of ``PATCH /jobs/{job_id}``."""

    EXAMPLE = MappingProxyType({"priority": 10})

    priority = Whole(
        *PRIORITIES, required=True, metadata=about("A higher one goes before what waits.")
    )
