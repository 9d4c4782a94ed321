"""What comes in and what goes out: the marshmallow schemas of all bodies and queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import (
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates,
)

from evalserver.job import EvaluateRequest
from evalserver.names import did_you_mean
from evalserver.web.arguments import Arguments, GenerationArguments
from evalserver.web.fields import (
    BatchSize,
    Directory,
    Labels,
    Limit,
    Listing,
    Name,
    Seconds,
    Switch,
    SwitchText,
    TaskName,
    Whole,
    WholeText,
)

NOT_YET = (
    "Merging a checkpoint before its evaluation is not available in this version: "
    "merge it first, and name the merged checkpoint in model_args."
)


MOST_TASK_BYTES = 100_000
"""Of all task names together: Linux takes no argument of more than 128 KiB."""


@dataclass(frozen=True)
class Bounds:
    """What the server's settings allow in a request: the names of engines, the longest time limit
    in seconds, and the directory in which no output may lie."""

    engines: tuple[str, ...]
    max_timeout: float | None
    data_dir: Path


class StrictSchema(Schema):
    """A schema of what comes in: it refuses what it does not know."""

    class Meta:
        unknown = RAISE

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds


class EngineName(Name):
    """The name of one of the server's engines."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        schema = self.root
        known = schema.bounds.engines if isinstance(schema, StrictSchema) else ()
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValidationError(
                f"There is no engine {name!r}.{hint} Known engines: {', '.join(known)}."
            )
        return name


class EvaluateSchema(StrictSchema):
    """The body of ``POST /evaluate``."""

    model = Name(required=True, longest=512)
    tasks = Listing(TaskName(longest=256), longest=1000, required=True)
    model_args = Arguments()
    num_fewshot = Whole(0, 10_000)
    batch_size = BatchSize()
    device = Name(longest=128)
    limit = Limit()
    gen_kwargs = GenerationArguments()
    log_samples = Switch()
    predict_only = Switch()
    num_gpus = Whole(1, 1024)
    output_dir = Directory(longest=2048)
    engine = EngineName()
    priority = Whole(-1000, 1000)
    labels = Labels()
    timeout_s = Seconds()
    max_attempts = Whole(1, 100)
    seed = Whole(0, 2**32 - 1)
    use_cache = Switch()
    lmms_engine_kwargs = fields.Raw(validate=validate.OneOf([], error=NOT_YET))

    @pre_load
    def _null_is_absent(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        required = ("model", "tasks")
        return {key: value for key, value in data.items() if value is not None or key in required}

    @validates("timeout_s")
    def _within_the_longest(self, value: float, **_kwargs: Any) -> None:
        longest = self.bounds.max_timeout
        if longest is not None and value > longest:
            raise ValidationError(f"Must be at most {longest:g} seconds on this server.")

    @validates("tasks")
    def _fit_one_argument(self, value: list[str], **_kwargs: Any) -> None:
        size = len(",".join(value).encode())
        if size > MOST_TASK_BYTES:
            raise ValidationError(
                f"Must have at most {MOST_TASK_BYTES} bytes in total, has {size}: "
                "name a group or a wildcard, or submit several jobs."
            )

    @validates("output_dir")
    def _outside_the_data(self, value: str, **_kwargs: Any) -> None:
        try:
            place = Path(value).resolve()
        except (OSError, RuntimeError):
            raise ValidationError("Must not lead through a link that leads to itself.") from None
        # The server removes what it takes for its own there.
        if place.is_relative_to(self.bounds.data_dir.resolve()):
            raise ValidationError("Must lie outside of the server's own data directory.")

    @post_load
    def _to_request(self, data: dict[str, Any], **_kwargs: Any) -> EvaluateRequest:
        return EvaluateRequest(**{**data, "tasks": tuple(data["tasks"])})


class NoQuerySchema(StrictSchema):
    """The query of a route that takes none."""


class CatalogQuerySchema(StrictSchema):
    """The query of ``GET /tasks`` and ``GET /models``."""

    engine = EngineName()


class LogQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/log``."""

    tail = WholeText(0, 1_000_000)
    follow = SwitchText(load_default=False)
    plain = SwitchText(load_default=False)
    attempt = WholeText(1, 1_000_000)


class RequestSchema(Schema):
    """A request as the job shows it: every field, with its default where none was given."""

    model = fields.String()
    tasks = fields.List(fields.String())
    model_args = fields.Raw()
    num_fewshot = fields.Raw()
    batch_size = fields.Raw()
    device = fields.String()
    limit = fields.Raw()
    gen_kwargs = fields.Raw()
    log_samples = fields.Boolean()
    predict_only = fields.Boolean()
    num_gpus = fields.Integer()
    output_dir = fields.String()
    engine = fields.String()
    priority = fields.Integer()
    labels = fields.Dict()
    timeout_s = fields.Raw()
    max_attempts = fields.Integer()
    seed = fields.Raw()
    use_cache = fields.Boolean()


class JobSchema(Schema):
    """A job as ``GET /jobs/{job_id}`` shows it; every key is always there."""

    job_id = fields.String()
    status = fields.String()
    created_at = fields.String()
    started_at = fields.String()
    completed_at = fields.String()
    request = fields.Nested(RequestSchema)
    result = fields.Raw()
    error = fields.String()
    position_in_queue = fields.Integer()
    waiting_for = fields.String()
    eta_s = fields.Float()
    engine = fields.String()
    priority = fields.Integer()
    labels = fields.Dict()
    attempt = fields.Integer()
    max_attempts = fields.Integer()
    progress = fields.Raw()
    exit_code = fields.Integer()
    submitted_by = fields.String()
    run_dir = fields.String()
    output_dir = fields.String()
    provenance = fields.Raw()
    event_id = fields.Integer()
    links = fields.Dict()
