"""Reads the managed GPUs about every two seconds, in a thread, and keeps their recent readings."""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalserver.gpus.inventory import Gpu

if TYPE_CHECKING:
    from evalserver.gpus.nvml import Nvml, Reading

INTERVAL_SECONDS = 2.0
HISTORY = 150
"""Readings of each GPU that are kept: five minutes."""
REFRESH_SECONDS = 0.04
"""How long ``refresh`` waits for new readings."""
MAX_AGE_SECONDS = 15.0
"""A GPU whose last reading is older does not respond."""


@dataclass(frozen=True)
class Point:
    """Memory used in bytes and utilization in percent (None: unknown) at one time."""

    memory_used: int
    utilization: int | None


@dataclass(frozen=True)
class GpuState:
    """The last attempt to read a GPU: ``at`` is ``time.monotonic()``. ``fault`` says why it could
    not be read; ``reading`` is then an older one, or None."""

    at: float
    reading: "Reading | None"
    fault: str | None


@dataclass(frozen=True)
class _Request:
    ids: tuple[str, ...]
    done: "asyncio.Future[None]"


class GpuMonitor:
    """The recent readings of some GPUs, or nothing where NVML is missing. ``start`` it within the
    event loop, and ``close`` it."""

    def __init__(self, gpus: Sequence[Gpu], interval_s: float = INTERVAL_SECONDS) -> None:
        self._ids = tuple(gpu.id for gpu in gpus)
        self._interval_s = interval_s
        self._states: dict[str, GpuState] = {}
        self._history = {each: deque[Point](maxlen=HISTORY) for each in self._ids}
        self._active_at: dict[str, float] = {}
        self._listeners: list[Callable[[], None]] = []
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._is_available = False

    async def start(self) -> None:
        """Start reading, and wait for the first readings."""
        if not self._ids:
            return
        loop = asyncio.get_running_loop()
        first: asyncio.Future[None] = loop.create_future()
        # A thread that waits for a GPU that has failed must not keep the process from exiting.
        threading.Thread(target=self._run, args=(first,), name="GPU monitor", daemon=True).start()
        await asyncio.wait([first], timeout=MAX_AGE_SECONDS)

    def close(self) -> None:
        """Stop reading."""
        self._requests.put(None)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` in the event loop after each round of readings."""
        self._listeners.append(listener)

    def state(self, gpu_id: str) -> GpuState | None:
        """Return the last reading of a GPU; None without NVML."""
        if not self._is_available:
            return None
        state = self._states.get(gpu_id)
        if state is None:
            return GpuState(time.monotonic(), None, "has not been read yet")
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
        """Read these GPUs now. Returns when that is done, or has taken too long."""
        ids = tuple(gpu_ids)
        if not self._is_available or not ids:
            return
        request = _Request(ids, asyncio.get_running_loop().create_future())
        self._requests.put(request)
        await asyncio.wait([request.done], timeout=REFRESH_SECONDS)

    def _run(self, first: "asyncio.Future[None]") -> None:
        from evalserver.gpus.nvml import Nvml, NvmlError, NvmlMissing

        nvml: Nvml | None = None
        next_at, done = time.monotonic(), first
        while True:
            try:
                nvml = nvml or Nvml()
            except NvmlMissing:
                with suppress(RuntimeError):  # as below
                    first.get_loop().call_soon_threadsafe(_resolve, first)
                return
            except NvmlError as error:
                self._publish(
                    dict.fromkeys(self._ids, f"cannot be read: {error}"), is_round=True, done=done
                )
            else:
                found = _read_all(nvml, self._ids)
                self._publish(found, is_round=True, done=done)
                if all(isinstance(each, str) for each in found.values()):
                    # As after the driver was loaded again: only a new session can read it.
                    nvml.close()
                    nvml = None
            next_at = max(next_at + self._interval_s, time.monotonic())
            if not self._serve_requests(nvml, next_at):
                break
        if nvml is not None:
            nvml.close()

    def _serve_requests(self, nvml: "Nvml | None", until: float) -> bool:
        """Serve requests until it is time for the next round; returns False to stop."""
        while (left := until - time.monotonic()) > 0:
            try:
                request = self._requests.get(timeout=left)
            except queue.Empty:
                break
            if request is None:
                return False
            found = {} if nvml is None else _read_all(nvml, request.ids)
            self._publish(found, is_round=False, done=request.done)
        return True

    def _publish(
        self,
        found: Mapping[str, "Reading | str"],
        *,
        is_round: bool,
        done: "asyncio.Future[None]",
    ) -> None:
        loop = done.get_loop()
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            loop.call_soon_threadsafe(self._keep, found, is_round, time.monotonic())
            loop.call_soon_threadsafe(_resolve, done)

    def _keep(self, found: Mapping[str, "Reading | str"], is_round: bool, at: float) -> None:
        self._is_available = True
        for gpu_id, result in found.items():
            if isinstance(result, str):
                last = self._states.get(gpu_id)
                self._states[gpu_id] = GpuState(at, None if last is None else last.reading, result)
                continue
            self._states[gpu_id] = GpuState(at, result, None)
            if result.utilization is not None and (
                result.utilization > 0 or gpu_id not in self._active_at
            ):
                self._active_at[gpu_id] = at
            if is_round:
                self._history[gpu_id].append(Point(result.memory_used, result.utilization))
        if is_round:
            for listener in self._listeners:
                listener()


def _read_all(nvml: "Nvml", ids: Iterable[str]) -> dict[str, "Reading | str"]:
    """Read GPUs; of one that cannot be read, why."""
    from evalserver.gpus.nvml import NvmlError

    found: dict[str, Reading | str] = {}
    for gpu_id in ids:
        try:
            found[gpu_id] = nvml.read(gpu_id)
        except NvmlError as error:
            found[gpu_id] = f"cannot be read: {error}"
    return found


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
