"""Reads the managed GPUs about every two seconds, and keeps their recent readings."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from evalserver.core.health import Health
from evalserver.gpus.inventory import Gpu
from evalserver.gpus.reader import GpuReader, ReadResult

if TYPE_CHECKING:
    from evalserver.gpus.nvml import Reading

log = structlog.get_logger("evalserver.gpus")

INTERVAL_SECONDS = 2.0
MAX_HISTORY = 150
"""Readings of each GPU that are kept: five minutes."""
REFRESH_SECONDS = 0.5
"""How long ``refresh`` waits for new readings, which usually take some milliseconds."""
MAX_AGE_SECONDS = 15.0
"""A GPU whose last reading is older does not respond."""


@dataclass(frozen=True)
class Point:
    """Memory used in bytes and utilization in percent (None: unknown) at one time."""

    memory_used: int
    utilization: int | None


@dataclass(frozen=True)
class GpuState:
    """The last attempt to read a GPU, begun at ``at`` (``time.monotonic()``). ``fault`` says why it
    could not be read; ``reading`` is then an older one, or None."""

    at: float
    reading: "Reading | None"
    fault: str | None


class GpuMonitor:
    """The recent readings of some GPUs, or nothing where NVML is missing. ``start`` it within the
    event loop, and ``close`` it."""

    def __init__(
        self,
        gpus: Sequence[Gpu],
        interval_s: float = INTERVAL_SECONDS,
        health: Health | None = None,
    ) -> None:
        self._interval_s = interval_s
        self._health = health or Health()
        self._readers = {gpu.id: GpuReader(gpu.id, interval_s, self._keep) for gpu in gpus}
        self._states: dict[str, GpuState] = {}
        self._history = {each: deque[Point](maxlen=MAX_HISTORY) for each in self._readers}
        self._active_at: dict[str, float] = {}
        self._late: set[str] = set()
        """GPUs whose requested reading has not arrived in time."""
        self._listeners: list[Callable[[], None]] = []
        self._is_available = False

    async def start(self) -> None:
        """Start reading, and wait for the first readings."""
        if self._readers:
            first = [reader.start() for reader in self._readers.values()]
            await asyncio.wait(first, timeout=MAX_AGE_SECONDS)

    def close(self) -> None:
        """Stop reading."""
        for gpu_id, reader in self._readers.items():
            reader.stop()
            self._health.clear(_fault_name(gpu_id))

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` in the event loop after each scheduled reading."""
        self._listeners.append(listener)

    def state(self, gpu_id: str) -> GpuState | None:
        """Return the last reading of a GPU; None without NVML."""
        if not self._is_available:
            return None
        state = self._states.get(gpu_id)
        if state is None:
            return GpuState(0.0, None, "has not been read yet")
        age = time.monotonic() - state.at
        if age > max(MAX_AGE_SECONDS, 3 * self._interval_s):
            return GpuState(state.at, state.reading, f"has not responded for {age:.0f} s")
        return state

    def history(self, gpu_id: str) -> Sequence[Point]:
        """Return the last readings of a GPU, oldest first, one for each interval."""
        return tuple(self._history[gpu_id])

    def idle_s(self, gpu_ids: Iterable[str]) -> float | None:
        """Return for how many seconds none of these GPUs has computed, as far as it was observed;
        None if that is unknown."""
        times = [self._active_at[each] for each in gpu_ids if each in self._active_at]
        return time.monotonic() - max(times) if times else None

    async def refresh(self, gpu_ids: Iterable[str]) -> None:
        """Read these GPUs now. Returns when that is done, or has taken too long: ``GpuState.at``
        says which were read. One that took too long is not waited for until it responds."""
        if not self._is_available:
            return
        reading = {
            gpu_id: self._readers[gpu_id].read_now()
            for gpu_id in gpu_ids
            if gpu_id not in self._late
        }
        if reading:
            await asyncio.wait(reading.values(), timeout=REFRESH_SECONDS)
        self._late |= {gpu_id for gpu_id, done in reading.items() if not done.done()}

    def _keep(self, result: ReadResult) -> None:
        gpu_id, reading = result.gpu_id, result.reading
        self._is_available = True
        self._late.discard(gpu_id)
        self._report(result)
        if reading is None:
            last = self._states.get(gpu_id)
            older = None if last is None else last.reading
            self._states[gpu_id] = GpuState(result.at, older, result.fault)
        else:
            self._states[gpu_id] = GpuState(result.at, reading, None)
            if reading.utilization is not None and (
                reading.utilization > 0 or gpu_id not in self._active_at
            ):
                self._active_at[gpu_id] = result.at
            if result.is_scheduled:
                self._history[gpu_id].append(Point(reading.memory_used, reading.utilization))
        if result.is_scheduled:
            for listener in self._listeners:
                listener()

    def _report(self, result: ReadResult) -> None:
        """Report a defect of this program once, until a reading succeeds."""
        name = _fault_name(result.gpu_id)
        if result.defect is None:
            self._health.clear(name)
            return
        if self._health.reason(name) is None:
            error = result.defect
            log.error("reading a GPU failed; trying again", gpu=result.gpu_id, exc_info=error)
        self._health.report(name, f"GPU {result.gpu_id} {result.fault}")


def _fault_name(gpu_id: str) -> str:
    return f"reading GPU {gpu_id}"
