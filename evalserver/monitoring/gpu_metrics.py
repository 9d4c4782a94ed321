"""The Prometheus metrics of the managed GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Gauge

from evalserver.monitoring.instrument import Instrument

GPU_MEMORY_USED = Instrument(
    Gauge, "evalserver_gpu_memory_used_bytes", "Memory in use on a managed GPU.", ("gpu",)
)
GPU_MEMORY_TOTAL = Instrument(
    Gauge, "evalserver_gpu_memory_total_bytes", "Memory of a managed GPU.", ("gpu",)
)
GPU_UTILIZATION = Instrument(
    Gauge,
    "evalserver_gpu_utilization_ratio",
    "Share of the time in which a managed GPU computed, from 0 to 1.",
    ("gpu",),
)
GPU_TEMPERATURE = Instrument(
    Gauge, "evalserver_gpu_temperature_celsius", "Temperature of a managed GPU.", ("gpu",)
)
GPU_STATUS = Instrument(
    Gauge,
    "evalserver_gpus",
    "Managed GPUs that are free, held by a job, or unavailable: not held, and not to be used.",
    ("status",),
)
GPU_QUARANTINED = Instrument(
    Gauge, "evalserver_gpu_quarantined", "1 while a managed GPU is quarantined, else 0.", ("gpu",)
)

GPU_TABLE = (
    *(GPU_STATUS, GPU_QUARANTINED, GPU_MEMORY_USED, GPU_MEMORY_TOTAL),
    *(GPU_UTILIZATION, GPU_TEMPERATURE),
)


@dataclass(frozen=True)
class GpuValues:
    """The values of one managed GPU: its id, status, and readings, None where there is none."""

    id: str
    status: str
    quarantined: bool
    memory_used: int | None
    memory_total: int | None
    utilization: int | None
    temperature: int | None


GPU_STATUSES = ("free", "held", "unavailable")


def set_gpu_gauges(gauges: Mapping[Instrument[Any], Any], gpus: Sequence[GpuValues]) -> None:
    """Set the gauges to the values of the managed GPUs."""
    for status in GPU_STATUSES:
        gauges[GPU_STATUS].labels(status).set(sum(gpu.status == status for gpu in gpus))
    percent = 100
    for row, values in (
        (GPU_QUARANTINED, {gpu.id: float(gpu.quarantined) for gpu in gpus}),
        (GPU_MEMORY_USED, {gpu.id: gpu.memory_used for gpu in gpus}),
        (GPU_MEMORY_TOTAL, {gpu.id: gpu.memory_total for gpu in gpus}),
        (GPU_UTILIZATION, {g.id: g.utilization and g.utilization / percent for g in gpus}),
        (GPU_TEMPERATURE, {gpu.id: gpu.temperature for gpu in gpus}),
    ):
        # What cannot be read now has no value, rather than an old one.
        gauges[row].clear()
        for gpu_id, value in values.items():
            if value is not None:
                gauges[row].labels(gpu_id).set(value)
