"""Checking the checkpoints of a request, and recording their state at submission."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalserver.attempts.provenance import at_submission
from evalserver.checkpoints.merging import checkpoint_argument, model_args_before_merging
from evalserver.checkpoints.readiness import (
    local_checkpoints,
    may_have_checkpoints,
    not_ready_reason,
)
from evalserver.core.request import EvaluateRequest
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.disk_threads import DiskThreads


@dataclass(frozen=True)
class Checkpoints:
    """The faults by field, and what the job's provenance records of the checkpoints."""

    faults: Mapping[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] | None = None


async def inspect_checkpoints(
    request: EvaluateRequest, allowed: AllowedDirectories, threads: DiskThreads
) -> Checkpoints:
    """Inspect the checkpoints that a request names, unless the request waits for them.

    ``allowed`` are the directories that the operator allows.
    """
    if request.wait_for_path_s is not None:
        return Checkpoints()
    if request.lmms_engine_kwargs is None and not may_have_checkpoints(request.model_args):
        return Checkpoints()
    return await threads.run(_inspect, request, allowed)


def _inspect(request: EvaluateRequest, allowed: AllowedDirectories) -> Checkpoints:
    faults = {
        _field_path(request, key): (
            f"{path} {reason}, on the server's machine. wait_for_path_s waits for one that is "
            "still being written; ?validate=false (evalserver submit --no-validate) skips this "
            "check."
        )
        for key, path in local_checkpoints(model_args_before_merging(request)).items()
        if (reason := not_ready_reason(path)) is not None
    }
    return Checkpoints(faults, at_submission(request, allowed))


def _field_path(request: EvaluateRequest, key: str) -> str:
    """Return the field that names the checkpoint of a model argument."""
    is_merged = request.lmms_engine_kwargs is not None and key == checkpoint_argument(request)
    return "lmms_engine_kwargs.model_path" if is_merged else f"model_args.{key}"
