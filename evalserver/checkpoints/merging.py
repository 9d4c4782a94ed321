"""Merges of sharded checkpoints before an evaluation.

With lmms-engine, each rank saves its FSDP2 shard, and ``python -m lmms_engine.merger`` merges the
shards. The names of the directories are those of its ``merger/fsdp2.py`` (version 0.1.4).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evalserver.core.request import EvaluateRequest
from evalserver.system.directory_listing import directory_names

SHARDS: Mapping[str, str] = MappingProxyType(
    {"regular": "pytorch_model_fsdp_0", "ema": "pytorch_ema_model_fsdp_0"}
)
"""The directory of a checkpoint that holds the shards, by type of the weights."""

CHECKPOINT_ARGUMENTS = ("model", "pretrained")
"""Model arguments that may name the checkpoint; the last one is the default."""

CHECKPOINT_PREFIX = "checkpoint-"
"""Prefix of a checkpoint's directory; the step follows."""


@dataclass(frozen=True)
class Merge:
    """What to merge: a checkpoint, or the newest one in a directory; which of its weights; and the
    path of the merged checkpoint."""

    model_path: Path
    checkpoint_type: str
    output_path: Path

    @property
    def shards(self) -> Path:
        """The directory of the shards, which may not exist."""
        folder = SHARDS[self.checkpoint_type]
        # Path.is_dir raises an error if a part of the path is too long.
        if not os.path.isdir(self.model_path) or os.path.isdir(self.model_path / folder):  # noqa: PTH112
            return self.model_path / folder
        several = [each for each in _checkpoints_in(self.model_path) if os.path.isdir(each)]  # noqa: PTH112
        newest = max(several, key=_step_key, default=self.model_path)
        return newest / folder

    def pinned(self) -> "Merge":
        """Return the same merge with the newest checkpoint as its path."""
        return replace(self, model_path=self.shards.parent)

    def as_kwargs(self) -> dict[str, str]:
        """Return the merge as the ``lmms_engine_kwargs`` of a request."""
        return {
            "model_path": str(self.model_path),
            "checkpoint_type": self.checkpoint_type,
            "output_path": str(self.output_path),
        }


def requested_merge(request: EvaluateRequest) -> Merge | None:
    """Return the merge that a request asks for; None if it asks for none."""
    given = request.lmms_engine_kwargs
    return None if given is None else merge_of(given)


def merge_of(given: Mapping[str, Any]) -> Merge:
    """Return the merge in the ``lmms_engine_kwargs`` of a request."""
    model_path = Path(given["model_path"])
    output_path = Path(given.get("output_path") or model_path)
    return Merge(model_path, given.get("checkpoint_type") or "regular", output_path)


def with_merged_checkpoint(request: EvaluateRequest) -> EvaluateRequest:
    """Return the request with the merged checkpoint as its model."""
    merge = requested_merge(request)
    if merge is None:
        return request
    given = request.model_args or {}
    path = {checkpoint_argument(request): str(merge.output_path)}
    return request.changed(model_args={**given, **path})


def pin_checkpoint(request: EvaluateRequest) -> EvaluateRequest:
    """Return the request with the path of the newest checkpoint; training may add newer ones later.

    Reads the disk.
    """
    merge = requested_merge(request)
    if merge is None:
        return request
    return request.changed(lmms_engine_kwargs=merge.pinned().as_kwargs())


def model_args_before_merging(request: EvaluateRequest) -> Mapping[str, Any] | None:
    """Return the model's arguments with the shards in place of the merged checkpoint."""
    merge = requested_merge(request)
    if merge is None:
        return request.model_args
    return {**(request.model_args or {}), checkpoint_argument(request): str(merge.shards)}


def checkpoint_argument(request: EvaluateRequest) -> str:
    """Return the model argument that names the checkpoint to merge."""
    given, merge = request.model_args or {}, requested_merge(request)
    named = [key for key in CHECKPOINT_ARGUMENTS if key in given]
    if merge is not None:
        ours = {str(merge.model_path), str(merge.output_path)}
        named = [key for key in named if given[key] in ours] or named
    return named[0] if named else CHECKPOINT_ARGUMENTS[-1]


def _checkpoints_in(path: Path) -> list[Path]:
    try:
        return [path / name for name in directory_names(path) if name.startswith(CHECKPOINT_PREFIX)]
    except OSError:
        return []


def _step_key(path: Path) -> tuple[int, str]:
    step = path.name.removeprefix(CHECKPOINT_PREFIX)
    return (int(step) if step.isdecimal() else -1, path.name)
