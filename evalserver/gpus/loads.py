"""What running jobs use of the GPUs that they hold, from the monitor's readings."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import structlog

from evalserver.gpus.monitor import GpuMonitor
from evalserver.store import Store, StoreUnavailable

log = structlog.get_logger("evalserver.gpus")


@dataclass
class _Load:
    """Of one job since the server saw its hold, which began at ``since``."""

    since: str
    began: float
    peak_bytes: int = 0
    utilization_sum: int = 0
    utilizations: int = 0


class GpuLoads:
    """The peak memory and the mean utilization of running jobs. Await ``watch`` in a task."""

    def __init__(self, monitor: GpuMonitor, store: Store) -> None:
        self._monitor = monitor
        self._store = store
        self._loads: dict[str, _Load] = {}
        self._wake = asyncio.Event()
        monitor.subscribe(self._wake.set)

    def provenance(self, job_id: str) -> dict[str, Any]:
        """Return what a job used, for its provenance: ``gpu_load``; empty if nothing was read.

        Memory is of the GPU that used most, in bytes; utilization is the mean of all, in percent.
        """
        load = self._loads.get(job_id)
        if load is None or not load.peak_bytes:
            return {}
        mean = load.utilization_sum / load.utilizations if load.utilizations else None
        return {
            "gpu_load": {
                "peak_memory_bytes": load.peak_bytes,
                "mean_utilization": None if mean is None else round(mean, 1),
                "observed_s": round(time.monotonic() - load.began, 1),
            }
        }

    async def watch(self) -> None:
        """Until cancelled, add up the readings of the GPUs that jobs hold."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._add()
            except StoreUnavailable as error:
                log.warning("what jobs use of GPUs cannot be recorded", why=str(error))

    async def _add(self) -> None:
        holds = await self._store.gpus.holds()
        jobs = {hold.holder_id: hold.since for hold in holds.values() if hold.kind == "job"}
        self._loads = {
            job_id: load for job_id, load in self._loads.items() if jobs.get(job_id) == load.since
        }
        for gpu_id, hold in holds.items():
            state = self._monitor.state(gpu_id)
            if hold.kind != "job" or state is None or state.fault or state.reading is None:
                continue
            load = self._loads.setdefault(hold.holder_id, _Load(hold.since, time.monotonic()))
            load.peak_bytes = max(load.peak_bytes, state.reading.memory_used)
            if state.reading.utilization is not None:
                load.utilization_sum += state.reading.utilization
                load.utilizations += 1
