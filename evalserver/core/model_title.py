"""What people call the model of a request: its checkpoint, as lists and the filter show it."""

from collections.abc import Mapping
from typing import Any

CHECKPOINT_ARGUMENTS = ("pretrained", "model", "model_version", "model_name", "peft")
"""The model arguments that name a checkpoint, in order of preference."""

MAX_TITLE = 512
"""Characters of a title that the filter of jobs compares."""


def model_title(request: Mapping[str, Any]) -> str:
    """Return the name of the checkpoint that a request evaluates, else of the model class."""
    model_args = request.get("model_args") or {}
    values = (model_args.get(name) for name in CHECKPOINT_ARGUMENTS)
    checkpoint = next((value for value in values if isinstance(value, str) and value), None)
    return checkpoint or str(request["model"])
