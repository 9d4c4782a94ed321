"""The sign of life of a runner on a node, and what happens when it cannot give one.

A node that is cut off from the shared directory cannot learn whether its attempt is still wanted.
So its runner kills the harness after a time that is known to the server, which starts another
attempt only after that time.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

from evalserver.runner.files import CUT_OFF, HEARTBEAT_FILE, write_atomically
from evalserver.runner.processes import Processes

MAX_INTERVAL_SECONDS = 5.0
WRITES_PER_SILENCE = 4
MAX_SLEEP_SECONDS = 1.0


def boot_seconds() -> float:
    """Return the seconds since the boot, also those while the machine was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heartbeat:
    """Writes ``heartbeat`` until the ``with`` block is left.

    If no write that began within the last ``max_silence_s`` seconds has succeeded, all descendants
    of this process are killed, and then the process ends with CUT_OFF. That goes on after the
    block, for the record of the end. The time counts from ``begun``, in seconds since the boot.

    A write may hang, as may everything else that the runner does in its directory. So one thread
    writes, and another one, which touches no file, watches the time.
    """

    def __init__(self, run_dir: Path, max_silence_s: float, begun: float) -> None:
        self._path = run_dir / HEARTBEAT_FILE
        self._max_silence_s = max_silence_s
        self._last = begun
        self._is_over = threading.Event()
        self._is_cut_off = threading.Event()
        self._writer = threading.Thread(target=self._write, name="heartbeat", daemon=True)
        self._guard = threading.Thread(target=self._watch, name="heartbeat guard", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._guard.start()
        self._writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        # If the last write hangs, the guard ends the process.
        self._writer.join()
        if self._is_cut_off.is_set():
            self._guard.join()

    def _write(self) -> None:
        interval = min(self._max_silence_s / WRITES_PER_SILENCE, MAX_INTERVAL_SECONDS)
        while True:
            # The server may see a write as soon as it has begun, and counts from there.
            begun = boot_seconds()
            try:
                write_atomically(self._path, {"at": time.time()})
            except OSError:
                pass
            else:
                self._advance(begun)
            if self._is_over.wait(interval):
                return

    def _advance(self, begun: float) -> None:
        # After a longer silence, as of a suspended node, a write that succeeds comes too late.
        if self._remaining_s() > 0:
            self._last = begun

    def _remaining_s(self) -> float:
        return self._last + self._max_silence_s - boot_seconds()

    def _watch(self) -> None:
        while (remaining := self._remaining_s()) > 0:
            # In short sleeps, which do not count the time of a suspended machine.
            time.sleep(min(remaining, MAX_SLEEP_SECONDS))
        self._is_cut_off.set()
        Processes(None).kill()
        os._exit(CUT_OFF)
