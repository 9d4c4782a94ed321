"""Checkpoints that training has left in shards, and that are merged before anybody evaluates them.

lmms-engine has every rank save its part of what FSDP2 has sharded, and merges the parts with
``python -m lmms_engine.merger``. The names of folders, and what they mean, are those of its
``merger/fsdp2.py`` (version 0.1.4).
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
"""The folder of a checkpoint that has the shards of each type."""

KEYS = ("model", "pretrained")
"""Arguments of models in which a client may name the checkpoint; the last, if it names none."""

CHECKPOINTS = "checkpoint-"
"""The beginning of the folders' names in a directory with several; behind it stands the step."""


@dataclass(frozen=True)
class Merge:
    """A checkpoint, or a directory with several, of which the newest is meant; which of its weights
    are merged; and where the merged checkpoint goes."""

    model_path: Path
    checkpoint_type: str
    output_path: Path

    @property
    def shards(self) -> Path:
        """Where the shards are, or should be."""
        folder = SHARDS[self.checkpoint_type]
        # Of a path whose parts are too long, Path.is_dir raises an error.
        if not os.path.isdir(self.model_path) or os.path.isdir(self.model_path / folder):  # noqa: PTH112
            return self.model_path / folder
        several = [each for each in _checkpoints_in(self.model_path) if os.path.isdir(each)]  # noqa: PTH112
        newest = max(several, key=_step, default=self.model_path)
        return newest / folder

    def pinned(self) -> "Merge":
        """The same of the one checkpoint that is meant now."""
        return replace(self, model_path=self.shards.parent)

    def as_kwargs(self) -> dict[str, str]:
        """As a request has it."""
        return {
            "model_path": str(self.model_path),
            "checkpoint_type": self.checkpoint_type,
            "output_path": str(self.output_path),
        }


def merge_of(request: EvaluateRequest) -> Merge | None:
    """The merge that the request asks for, if it does."""
    given = request.lmms_engine_kwargs
    if given is None:
        return None
    model_path = Path(given["model_path"])
    output_path = Path(given.get("output_path") or model_path)
    return Merge(model_path, given.get("checkpoint_type") or "regular", output_path)


def merged(request: EvaluateRequest) -> EvaluateRequest:
    """The request once its checkpoint is merged: its model is that one."""
    merge = merge_of(request)
    if merge is None:
        return request
    given = request.model_args or {}
    return replace(request, model_args={**given, key_of(request): str(merge.output_path)})


def pinned(request: EvaluateRequest) -> EvaluateRequest:
    """The request with the one checkpoint that it means now; training may leave others later.

    Looks at the disk.
    """
    merge = merge_of(request)
    if merge is None:
        return request
    return replace(request, lmms_engine_kwargs=merge.pinned().as_kwargs())


def before_merging(request: EvaluateRequest) -> Mapping[str, Any] | None:
    """The arguments of the model with the shards in the place of what is to be merged of them."""
    merge = merge_of(request)
    if merge is None:
        return request.model_args
    return {**(request.model_args or {}), key_of(request): str(merge.shards)}


def key_of(request: EvaluateRequest) -> str:
    """The argument of the model in which the client names the checkpoint that is to be merged."""
    given, merge = request.model_args or {}, merge_of(request)
    named = [key for key in KEYS if key in given]
    if merge is not None:
        ours = {str(merge.model_path), str(merge.output_path)}
        named = [key for key in named if given[key] in ours] or named
    return named[0] if named else KEYS[-1]


def _checkpoints_in(path: Path) -> list[Path]:
    try:
        return [path / name for name in directory_names(path) if name.startswith(CHECKPOINTS)]
    except OSError:
        return []


def _step(path: Path) -> tuple[int, str]:
    step = path.name.removeprefix(CHECKPOINTS)
    return (int(step) if step.isdecimal() else -1, path.name)
