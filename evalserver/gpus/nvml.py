"""Reading GPUs through NVML, NVIDIA's management library. The only module that imports pynvml.

Its functions block, usually for a millisecond, for seconds if a GPU has failed: call them in a
thread.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynvml


class NvmlError(Exception):
    """NVML cannot be used, or not for this GPU; says why, in NVML's words."""


class NvmlMissing(NvmlError):
    """This machine has no NVML, and so no driver of NVIDIA."""


@dataclass(frozen=True)
class Device:
    """One GPU. ``fault`` says why it cannot be read; its UUID and name are then unknown."""

    index: int
    uuid: str | None = None
    name: str | None = None
    is_mig_enabled: bool = False
    """In MIG mode, where only its parts can compute."""
    fault: str | None = None


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a GPU; ``used_bytes`` is None where the driver does not say."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True)
class Reading:
    """One reading of a GPU: memory in bytes, without what the driver reserves where it says so;
    utilization in percent, temperature in degrees Celsius, None where it is not supported."""

    memory_total: int
    memory_used: int
    utilization: int | None
    temperature: int | None
    processes: tuple[GpuProcess, ...]


class Nvml:
    """The library, initialized. Raises NvmlMissing, or NvmlError if the driver does not work."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            missing = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
            raise (NvmlMissing if missing else NvmlError)(str(error)) from error

    def devices(self) -> tuple[Device, ...]:
        """Return all GPUs of the machine in the order of their PCI addresses. Raises NvmlError."""
        count = _call(pynvml.nvmlDeviceGetCount)
        return tuple(_device(index) for index in range(count))

    def read(self, uuid: str) -> Reading:
        """Read a GPU, or a part of one in MIG mode. Raises NvmlError."""
        try:
            if uuid not in self._handles:
                self._handles[uuid] = _call(pynvml.nvmlDeviceGetHandleByUUID, uuid)
            return _read(self._handles[uuid])
        except NvmlError:
            self._handles.pop(uuid, None)
            raise

    def name(self, uuid: str) -> str:
        """Return the name of the GPU, or part of one, with this UUID. Raises NvmlError."""
        handle = _call(pynvml.nvmlDeviceGetHandleByUUID, uuid)
        return str(_call(pynvml.nvmlDeviceGetName, handle))

    def close(self) -> None:
        """Release the library."""
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _device(index: int) -> Device:
    try:
        handle = _call(pynvml.nvmlDeviceGetHandleByIndex, index)
        uuid = _call(pynvml.nvmlDeviceGetUUID, handle)
        name = _call(pynvml.nvmlDeviceGetName, handle)
    except NvmlError as error:
        return Device(index, fault=str(error))
    mode = _if_supported(pynvml.nvmlDeviceGetMigMode, handle)
    return Device(index, str(uuid), str(name), mode is not None and bool(mode[0]))


def _read(handle: Any) -> Reading:
    memory = _if_supported(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    if memory is None:
        memory = _call(pynvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _if_supported(pynvml.nvmlDeviceGetUtilizationRates, handle)
    # Not those of graphics alone: a desktop on a GPU does not keep it from computing.
    processes = _if_supported(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    return Reading(
        int(memory.total),
        int(memory.used),
        None if rates is None else int(rates.gpu),
        _if_supported(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        tuple(GpuProcess(int(each.pid), each.usedGpuMemory) for each in processes),
    )


UNSUPPORTED = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
)
"""What an older driver, or another kind of GPU, says to a question that it does not know."""


def _if_supported(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        if error.value in UNSUPPORTED:
            return None
        raise NvmlError(str(error)) from error


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        raise NvmlError(str(error)) from error
