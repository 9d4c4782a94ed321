"""Schemas of the body of ``POST /evaluate`` and ``PATCH /jobs/{job_id}``, made from the table of
request fields (``core/request.py``) and the server's settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from evalserver.core.request import MAX_TASK_BYTES, REQUEST_FIELDS, REQUIRED, EvaluateRequest
from evalserver.core.request_fields import Kind, RequestField
from evalserver.engines import Engine, merge
from evalserver.web.schemas.arguments import Arguments, GenerationArguments
from evalserver.web.schemas.fields import (
    Boolean,
    Integer,
    JsonSchema,
    Labels,
    List,
    Name,
    PublicText,
    Seconds,
    about,
    is_plain,
)
from evalserver.web.schemas.path_fields import MergeArguments, OutputDirectory
from evalserver.web.schemas.queries import EngineName, StrictSchema
from evalserver.web.schemas.request_fields import BatchSize, Choice, Limit, Seed, TaskName


class TimeLimit(Seconds):
    """The time limit of an attempt."""

    def json_schema(self) -> JsonSchema:
        """The bounds, with the maximum of the settings."""
        longest = self._max_seconds()
        return super().json_schema() | ({"maximum": longest} if longest else {})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        seconds = super()._deserialize(value, attr, data, **kwargs)
        longest = self._max_seconds()
        if longest is not None and seconds > longest:
            raise ValidationError(f"Must be at most {longest:g} seconds on this server.")
        return seconds

    def _max_seconds(self) -> float | None:
        return self.root.bounds.max_timeout if isinstance(self.root, StrictSchema) else None


class EvaluationEngineName(EngineName):
    """The name of an engine that evaluates."""

    def _known_names(self) -> tuple[str, ...]:
        return tuple(name for name in super()._known_names() if name != merge.NAME)


class TaskNames(List):
    """Names of tasks, which are passed to a harness as one argument."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        is_short = isinstance(value, list) and 0 < len(value) <= self.longest
        # Most are short words, which no rule below forbids: a thousand have 16 000 bytes.
        if is_short and all(map(is_plain, value)):
            return value
        names: list[str] = super()._deserialize(value, attr, data, **kwargs)
        size = len(",".join(names).encode())
        if size > MAX_TASK_BYTES:
            raise ValidationError(
                f"Must have at most {MAX_TASK_BYTES} bytes in total, has {size}: "
                "name a group or a wildcard, or submit several jobs."
            )
        return names


_FIELDS: Mapping[Kind, Callable[[RequestField], fields.Field[Any]]] = {
    Kind.NAME: lambda row: Name(longest=row.max_length, **_options(row)),
    Kind.NAMES: lambda row: TaskNames(
        TaskName(longest=row.max_length), longest=row.maximum, **_options(row)
    ),
    Kind.TEXT: lambda row: PublicText(longest=row.max_length, **_options(row)),
    Kind.INTEGER: lambda row: Integer(row.minimum, row.maximum, **_options(row)),
    Kind.BOOLEAN: lambda row: Boolean(**_options(row)),
    Kind.CHOICE: lambda row: Choice(row.choices, **_options(row)),
    Kind.SECONDS: lambda row: Seconds(**_options(row)),
    Kind.TIME_LIMIT: lambda row: TimeLimit(**_options(row)),
    Kind.ARGUMENTS: lambda row: Arguments(**_options(row)),
    Kind.HARNESS_ARGUMENTS: lambda row: Arguments(**_options(row)),
    Kind.SEED: lambda row: Seed(**_options(row)),
    Kind.GENERATION_ARGUMENTS: lambda row: GenerationArguments(**_options(row)),
    Kind.BATCH_SIZE: lambda row: BatchSize(**_options(row)),
    Kind.LIMIT: lambda row: Limit(**_options(row)),
    Kind.OUTPUT_DIRECTORY: lambda row: OutputDirectory(longest=row.max_length, **_options(row)),
    Kind.ENGINE: lambda row: EvaluationEngineName(**_options(row)),
    Kind.LABELS: lambda row: Labels(**_options(row)),
    Kind.MERGE: lambda row: MergeArguments(**_options(row)),
}
"""How a field of each kind is checked."""


def make_field(row: RequestField) -> fields.Field[Any]:
    """The marshmallow field of a row."""
    return _FIELDS[row.kind](row)


def _options(row: RequestField) -> dict[str, Any]:
    return {"required": row.required, "metadata": about(row.description)}


class RequestFields(Schema):
    """The fields of a request."""

    class Meta:
        include: ClassVar = {name: make_field(row) for name, row in REQUEST_FIELDS.items()}


class EvaluateSchema(StrictSchema):
    """A request to evaluate a model on tasks. null means that a field is not set."""

    class Meta(StrictSchema.Meta):
        include: ClassVar = RequestFields.Meta.include

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
        """Let optional fields be null, and describe their defaults."""
        field_obj.allow_none = not field_obj.required
        default = REQUEST_FIELDS[field_name].default
        if default is not None:
            field_obj.metadata = {**field_obj.metadata, "default": default}

    def load(self, data: Any, **_kwargs: Any) -> EvaluateRequest:
        """Return the request. Raises ValidationError with the errors of every field.

        Only fields that are present are validated: marshmallow's own ``load``, which visits all
        twenty, took as long as the rest of a submission.
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
        values["tasks"] = tuple(values["tasks"])
        return EvaluateRequest.of(values)


def check_engine_defaults(engine: Engine) -> None:
    """Raise ValueError, naming table and key, if a default of an engine is invalid."""
    request_fields = RequestFields().fields
    for name, value in engine.settings.defaults.items():
        try:
            request_fields[name].deserialize(value, name, {})
        except ValidationError as error:
            where = f"engines.{engine.name}.defaults.{name}"
            raise ValueError(f"{where}: {error.messages}, got {value!r}") from error


PRIORITY = REQUEST_FIELDS["priority"]


class ChangeJobSchema(StrictSchema):
    """The body of ``PATCH /jobs/{job_id}``."""

    EXAMPLE = MappingProxyType({"priority": 10})

    priority = Integer(
        PRIORITY.minimum, PRIORITY.maximum, required=True, metadata=about(PRIORITY.help)
    )
