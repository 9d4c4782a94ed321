"""Fields with paths on the server's machine, inside the directories that the operator allows."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, fields

from evalserver.checkpoints.merging import SHARDS
from evalserver.core.suggestions import did_you_mean
from evalserver.system.allowed_directories import OUTPUTS
from evalserver.web.schemas.fields import JsonSchema, Strict, Text
from evalserver.web.schemas.queries import Bounds, StrictSchema
from evalserver.web.schemas.request_fields import Directory


class AllowedDirectory(Directory):
    """A directory that clients may have the server read."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        path = super()._deserialize(value, attr, data, **kwargs)
        if isinstance(self.root, StrictSchema):
            self._check(Path(path), self.root.bounds)
        return path

    def _check(self, path: Path, bounds: Bounds) -> None:
        fault = bounds.places.fault(path)
        if fault is not None:
            raise ValidationError(fault)


class OutputDirectory(AllowedDirectory):
    """A directory that clients may have the server write to: not the server's own."""

    def _check(self, path: Path, bounds: Bounds) -> None:
        super()._check(path, bounds)
        # The server deletes files in its own data directory.
        own, place = bounds.data_dir.resolve(), path.resolve()
        if place.is_relative_to(own) and not place.is_relative_to(own / OUTPUTS):
            raise ValidationError(
                "Must be outside of the server's data directory, or in its folder outputs."
            )
        if any(place.is_relative_to(root.resolve()) for root in bounds.run_roots):
            raise ValidationError("Must be outside of the directories of executors.")


class CheckpointDirectory(AllowedDirectory):
    """The absolute path of a checkpoint."""

    PATTERN = Directory.PATTERN.replace("^", "^/", 1)

    def _check(self, path: Path, bounds: Bounds) -> None:
        _require_absolute(path)
        super()._check(path, bounds)


class MergedDirectory(OutputDirectory):
    """The absolute path of a merged checkpoint."""

    PATTERN = CheckpointDirectory.PATTERN

    def _check(self, path: Path, bounds: Bounds) -> None:
        _require_absolute(path)
        super()._check(path, bounds)


class CheckpointType(Text):
    """Which weights of a checkpoint to merge."""

    def json_schema(self) -> JsonSchema:
        """The types."""
        return {"type": "string", "enum": list(SHARDS)}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text not in SHARDS:
            raise ValidationError(f"Must be one of {', '.join(SHARDS)}.")
        return text


class MergeArguments(Strict[dict[str, str]]):
    """The arguments of a merge, as lmms-engine's training callback sends them; null means
    absent."""

    PARTS: Mapping[str, fields.Field[str]] = {
        "model_path": CheckpointDirectory(longest=2048),
        "checkpoint_type": CheckpointType(),
        "output_path": MergedDirectory(longest=2048),
    }
    REQUIRED = "model_path"

    def json_schema(self) -> JsonSchema:
        """The parts; all but the required one may be null."""
        told = {name: part.json_schema() for name, part in self._parts.items()}  # type: ignore[attr-defined]
        return {
            "type": "object",
            "properties": {
                name: tells if name == self.REQUIRED else {"anyOf": [tells, {"type": "null"}]}
                for name, tells in told.items()
            },
            "required": [self.REQUIRED],
            "additionalProperties": False,
        }

    def _bind_to_schema(self, field_name: str, parent: Any) -> None:
        super()._bind_to_schema(field_name, parent)
        self._parts = {name: copy.deepcopy(part) for name, part in self.PARTS.items()}
        for name, part in self._parts.items():
            part._bind_to_schema(name, self)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        faults: dict[str, list[str]] = {
            name: [f"Unknown field.{did_you_mean(name, self.PARTS)}"]
            for name in value
            if name not in self.PARTS
        }
        if value.get(self.REQUIRED) is None:
            faults[self.REQUIRED] = ["Missing data for required field."]
        loaded: dict[str, str] = {}
        for name, part in self._parts.items():
            try:
                if value.get(name) is not None:
                    loaded[name] = str(part.deserialize(value[name]))
            except ValidationError as error:
                faults[name] = [str(message) for message in error.messages]
        if faults:
            raise ValidationError(faults)
        return loaded


def _require_absolute(path: Path) -> None:
    if not path.is_absolute():
        raise ValidationError("Must be an absolute path, which begins with '/'.")
