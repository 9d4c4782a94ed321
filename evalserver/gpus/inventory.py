"""Which GPUs the server manages: ``--gpus`` resolved against the GPUs of the machine."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from evalserver.gpus.nvml import Device, Nvml

log = structlog.get_logger("evalserver.gpus")

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""What a cluster or a container gave to the server, when set: ``auto`` takes no others."""


DRIVER_GPUS = Path("/proc/driver/nvidia/gpus")
"""A directory for each GPU, to be listed without loading NVML."""


class GpusUnavailable(Exception):
    """The GPUs of the setting cannot be managed; says why, and what to do."""


@dataclass(frozen=True)
class Gpu:
    """A managed GPU. ``id`` is its UUID, or its name in the setting where NVML is not there."""

    id: str
    index: int | None
    name: str | None


def find_gpus(setting: str, environ: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """Return the GPUs of ``--gpus`` in the order of their indices, or of the list.

    Blocks for as long as the driver takes to initialize. Raises GpusUnavailable.
    """
    if setting == "none":
        return ()
    # Loading the library of 300 KB takes 30 ms: only where it is needed.
    from evalserver.gpus.nvml import Nvml, NvmlError, NvmlMissing

    try:
        nvml = Nvml()
    except NvmlMissing as error:
        if setting == "auto":
            raise GpusUnavailable(
                "--gpus auto finds no GPU: NVIDIA's driver library (NVML) is not on this machine."
                " Name the GPUs, such as --gpus 0,1; they are then taken as given."
                " Or start with --gpus none"
            ) from error
        return tuple(_as_given(name) for name in _names(setting))
    except NvmlError as error:
        raise GpusUnavailable(
            f"--gpus {setting}: the NVIDIA driver of this machine does not work ({error})."
            " Check nvidia-smi, or start with --gpus none"
        ) from error
    try:
        devices = nvml.devices()
        if setting != "auto":
            return _resolve_list(_names(setting), devices, nvml)
        return _all_of(devices, environ.get(VISIBLE))
    except NvmlError as error:
        raise GpusUnavailable(f"--gpus {setting}: the driver cannot list GPUs: {error}") from error
    finally:
        nvml.close()


def warn_of_unmanaged_gpus() -> None:
    """Log what to set if this machine has several GPUs of NVIDIA, for ``--gpus none``."""
    try:
        count = sum(1 for _ in DRIVER_GPUS.iterdir())
    except OSError:
        return
    if count > 1:
        log.warning(
            "evaluations run one after another, and each sees all GPUs;"
            " with --gpus auto, each holds those that it needs, and several run at once",
            gpus=count,
        )


def _all_of(devices: Sequence["Device"], visible: str | None) -> tuple[Gpu, ...]:
    for device in devices:
        if device.fault is not None:
            log.warning("a GPU cannot be read and is not used", gpu=device.index, why=device.fault)
    names = None if visible is None else _names(visible)
    found = [
        each
        for each in devices
        if each.fault is None and (names is None or {str(each.index), each.uuid} & {*names})
    ]
    if not found:
        limited = "" if visible is None else f" that {VISIBLE}={visible} allows"
        raise GpusUnavailable(
            f"--gpus auto finds no GPU{limited}. Check nvidia-smi, or start with --gpus none"
        )
    return tuple(_require_usable(each) for each in found)


def _resolve_list(
    names: Sequence[str], devices: Sequence["Device"], nvml: "Nvml"
) -> tuple[Gpu, ...]:
    found = [_resolve(name, devices, nvml) for name in names]
    ids = [gpu.id for gpu in found]
    for name, gpu_id in zip(names, ids, strict=True):
        if ids.count(gpu_id) > 1:
            raise GpusUnavailable(
                f"--gpus: {name} names a GPU that is in the list twice ({gpu_id})"
            )
    return tuple(found)


def _resolve(name: str, devices: Sequence["Device"], nvml: "Nvml") -> Gpu:
    from evalserver.gpus.nvml import NvmlError

    for device in devices:
        if name in (str(device.index), device.uuid):
            return _require_usable(device)
    if name.startswith("MIG-"):
        try:
            return Gpu(name, None, nvml.name(name))
        except NvmlError as error:
            raise GpusUnavailable(f"--gpus: {name} cannot be used: {error}") from error
    known = ", ".join(f"{each.index} ({each.uuid or each.fault})" for each in devices) or "none"
    raise GpusUnavailable(f"--gpus: there is no GPU {name} on this machine. There are: {known}")


def _require_usable(device: "Device") -> Gpu:
    if device.uuid is None:
        raise GpusUnavailable(
            f"--gpus: GPU {device.index} cannot be used: {device.fault}. Leave it out"
        )
    if device.is_mig_enabled:
        raise GpusUnavailable(
            f"--gpus: GPU {device.index} is in MIG mode. List its parts by their UUIDs"
            " (MIG-..., see nvidia-smi -L) instead"
        )
    return Gpu(device.uuid, device.index, device.name)


def _as_given(name: str) -> Gpu:
    return Gpu(name, int(name) if name.isdigit() else None, None)


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
