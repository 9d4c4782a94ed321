"""How many processes of a harness an evaluation needs."""

from typing import Any

from evalserver.core.masking import parse_assignments
from evalserver.core.request import EvaluateRequest

SPREADING_SIZES = ("tensor_parallel_size", "pipeline_parallel_size", "tp_size", "tp")
"""Model arguments by which one process uses several GPUs, if they are above 1."""
SINGLE_DEVICES = ("cpu", "cuda", "mps", "none", "null", "")


def num_processes(request: EvaluateRequest) -> int:
    """Return how many processes ``accelerate`` starts: those of the request, or one a GPU.

    One process if ``model_args`` spread one model over the GPUs: it would be loaded once a process.
    """
    if request.num_processes is not None:
        return request.num_processes
    if request.num_gpus <= 1 or spreads_model(request.model_args):
        return 1
    return request.num_gpus


def spreads_model(model_args: str | dict[str, Any] | None) -> bool:
    """Return whether the model arguments let one process use several GPUs."""
    args = parse_assignments(model_args) if isinstance(model_args, str) else model_args or {}
    return (
        _is_true(args.get("parallelize"))
        or _is_spread(args.get("device_map"))
        or any(_is_above_one(args.get(name)) for name in SPREADING_SIZES)
    )


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "1")


def _is_spread(device_map: Any) -> bool:
    if device_map is None or isinstance(device_map, dict):
        return bool(device_map)
    device = str(device_map).lower()
    return device not in SINGLE_DEVICES and ":" not in device and not device.isdigit()


def _is_above_one(value: Any) -> bool:
    return str(value).isdigit() and int(value) > 1
