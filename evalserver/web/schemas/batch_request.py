"""The schema of the body of ``POST /batches``: requests, or a sweep that is expanded to them.

It checks the outline; the handler checks each request, in steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from marshmallow import ValidationError

from evalserver.submission.sweep import count_bytes, count_requests, expand, path_fault
from evalserver.web.schemas.arguments import VALUE_REFERENCE
from evalserver.web.schemas.evaluate_request import EvaluateSchema
from evalserver.web.schemas.fields import JsonSchema, Strict, about
from evalserver.web.schemas.queries import Bounds, StrictSchema

MAX_JOBS = 1000
MAX_BYTES = 16 * 1024 * 1024
MAX_VALUES = 250_000
"""Limits of a body: jobs, bytes, and commas and brackets."""
MAX_PATHS = 20
"""Fields that a sweep varies."""

REQUEST: JsonSchema = {"$ref": "#/components/schemas/Evaluate"}


@dataclass(frozen=True)
class UncheckedBatch:
    """The requests of a batch as JSON, and the schema that checks each."""

    requests: list[Any]
    schema: EvaluateSchema


class Requests(Strict[list[Any]]):
    """The requests of a batch, unchecked."""

    def json_schema(self) -> JsonSchema:
        """The number of requests, and their schema."""
        return {"type": "array", "minItems": 1, "maxItems": MAX_JOBS, "items": REQUEST}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError("Must be an array of requests.")
        if not 1 <= len(value) <= MAX_JOBS:
            raise ValidationError(f"Must have 1 to {MAX_JOBS} requests, has {len(value)}.")
        return value


class Sweep(Strict[list[Any]]):
    """A request and lists of values to cross, loaded as the requests that they make."""

    def json_schema(self) -> JsonSchema:
        """The two parts."""
        values = {"type": "array", "minItems": 1, "maxItems": MAX_JOBS, "items": VALUE_REFERENCE}
        return {
            "type": "object",
            "properties": {
                "base": {"type": "object", "additionalProperties": VALUE_REFERENCE},
                "over": {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": MAX_PATHS,
                    "additionalProperties": values,
                },
            },
            "required": ["base", "over"],
            "additionalProperties": False,
        }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[Any]:
        if not isinstance(value, dict) or set(value) != {"base", "over"}:
            raise ValidationError("Must be an object with base and over, and nothing else.")
        base, over = value["base"], value["over"]
        faults = {
            name: ["Must be an object."]
            for name, part in value.items()
            if not isinstance(part, dict)
        }
        if not faults and not 1 <= len(over) <= MAX_PATHS:
            faults["over"] = [f"Must vary 1 to {MAX_PATHS} fields, not {len(over)}."]
        if faults:
            raise ValidationError(faults)
        _check_values(base, over)
        return expand(base, over)


class BatchSchema(StrictSchema):
    """Evaluations to queue together: either `jobs`, or a `sweep`."""

    EXAMPLE = MappingProxyType(
        {
            "sweep": {
                "base": dict(EvaluateSchema.EXAMPLE),
                "over": {"gen_kwargs.temperature": [0, 0.5, 1], "tasks": [["mme"], ["mmmu_val"]]},
            }
        }
    )
    CONSTRAINTS: ClassVar[JsonSchema] = {"oneOf": [{"required": ["jobs"]}, {"required": ["sweep"]}]}

    jobs = Requests(metadata=about("Requests as `POST /evaluate` takes them."))
    sweep = Sweep(
        metadata=about(
            "`base` is a request, which may lack what `over` has. `over` has lists of values by"
            " field, such as `tasks`, or by a part of a field, such as `model_args.temperature` or"
            " `labels.run`. There is a job for each combination; the values of the last field"
            " change fastest. `?dry_run=1` returns the requests."
        )
    )

    def __init__(self, bounds: Bounds) -> None:
        super().__init__(bounds)
        self._request_schema = EvaluateSchema(bounds)

    def load(self, data: Any, **kwargs: Any) -> UncheckedBatch:
        """Return the requests, unchecked. Raises ValidationError for errors in the outline."""
        loaded: dict[str, Any] = super().load(data, **kwargs)
        if len(loaded) != 1:
            raise ValidationError({"jobs": ["Must be given, or else sweep; not both."]})
        [requests] = loaded.values()
        return UncheckedBatch(requests, self._request_schema)


def _check_values(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    faults = {path: fault for path, values in over.items() if (fault := _fault(path, values))}
    faults |= {path: fault for path in over if (fault := path_fault(path, over, base))}
    if faults:
        raise ValidationError({"over": {path: [fault] for path, fault in faults.items()}})
    count = count_requests(over)
    if count > MAX_JOBS:
        raise ValidationError(
            f"Makes {count} jobs; at most {MAX_JOBS} are allowed. Send several batches."
        )
    size = count_bytes(base, over)
    if size > MAX_BYTES:
        raise ValidationError(
            f"Makes requests of about {size} bytes in total; at most {MAX_BYTES} are allowed."
            " Send several batches."
        )


def _fault(path: str, values: Any) -> str | None:
    if not isinstance(values, list) or not values:
        return "Must be an array of one or more values."
    return None
