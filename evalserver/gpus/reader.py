"""Reads one GPU in a thread: at intervals, and on request.

Each GPU has a thread of its own, because a call of the driver for one that has failed may not
return.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalserver.gpus.nvml import Nvml, Reading

Done = asyncio.Future[None]


@dataclass(frozen=True)
class ReadResult:
    """One attempt to read a GPU, begun at ``at`` (``time.monotonic()``).

    ``fault`` says why there is no reading; ``defect`` is set if the error is one of this program.
    ``is_scheduled`` is False if it was requested.
    """

    gpu_id: str
    at: float
    is_scheduled: bool
    reading: "Reading | None" = None
    fault: str | None = None
    defect: Exception | None = None


class GpuReader:
    """The thread of one GPU. It calls ``publish`` in the event loop with every result, and ends at
    once where NVML is missing."""

    def __init__(
        self, gpu_id: str, interval_s: float, publish: Callable[[ReadResult], None]
    ) -> None:
        self._gpu_id = gpu_id
        self._interval_s = interval_s
        self._publish = publish
        self._requests: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._nvml: Nvml | None = None
        self._is_first = True

    def start(self) -> Done:
        """Start reading. The result is done after the first reading, or without NVML."""
        first: Done = asyncio.get_running_loop().create_future()
        # A thread that waits for a GPU that has failed must not keep the process from exiting.
        name = f"GPU {self._gpu_id}"
        threading.Thread(target=self._run, args=(first,), name=name, daemon=True).start()
        return first

    def read_now(self) -> Done:
        """Request a reading. The result is done after it."""
        done: Done = asyncio.get_running_loop().create_future()
        self._requests.put(done)
        return done

    def stop(self) -> None:
        """Stop reading."""
        self._requests.put(None)

    def _run(self, first: Done) -> None:
        from evalserver.gpus.nvml import NvmlMissing

        try:
            self._return(self._read(is_scheduled=True), first)
        except NvmlMissing:
            self._return(None, first)
            return
        next_at = time.monotonic() + self._interval_s
        while True:
            try:
                request = self._requests.get(timeout=max(0.0, next_at - time.monotonic()))
            except queue.Empty:
                self._return(self._read(is_scheduled=True), first)
                next_at = max(next_at + self._interval_s, time.monotonic())
                continue
            if request is None:
                break
            self._return(self._read(is_scheduled=False), request)
        self._end_session()

    def _read(self, *, is_scheduled: bool) -> ReadResult:
        """Read the GPU. Raises NvmlMissing if it is missing at the first reading."""
        from evalserver.gpus.nvml import Nvml, NvmlError, NvmlMissing

        is_first, self._is_first = self._is_first, False
        at = time.monotonic()
        try:
            self._nvml = self._nvml or Nvml()
            return ReadResult(self._gpu_id, at, is_scheduled, self._nvml.read(self._gpu_id))
        except NvmlError as error:
            if is_first and isinstance(error, NvmlMissing):
                raise
            fault, defect = f"cannot be read: {error}", None
        except Exception as error:
            # The next reading may succeed; without this thread, there is none.
            fault, defect = f"cannot be read: {error!r}", error
        # As after the driver was loaded again: only a new session can read it.
        self._end_session()
        return ReadResult(self._gpu_id, at, is_scheduled, None, fault, defect)

    def _return(self, result: ReadResult | None, done: Done) -> None:
        loop = done.get_loop()
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            if result is not None:
                loop.call_soon_threadsafe(self._publish, result)
            loop.call_soon_threadsafe(_resolve, done)

    def _end_session(self) -> None:
        if self._nvml is not None:
            self._nvml.close()
            self._nvml = None


def _resolve(done: Done) -> None:
    if not done.done():
        done.set_result(None)
