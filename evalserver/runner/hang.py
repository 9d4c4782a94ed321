"""Noticing that a harness hangs since it was forked."""

from __future__ import annotations

import os
import time

from evalserver.runner.output import MaskedLog
from evalserver.runner.procfs import cpu_ticks, descendants

HANG_SECONDS = 60.0
LOOK_SECONDS = 1.0


class HangGuard:
    """Watches a harness until its first output. It hangs if all of its processes together have
    used no processor for ``limit_s`` seconds by then."""

    def __init__(self, log: MaskedLog, limit_s: float) -> None:
        self._log = log
        self._limit_s = limit_s
        self._look_at = 0.0
        self._ticks = -1
        self._idle_since = 0.0

    def has_hung(self) -> bool:
        """Return whether the harness hangs, by a look at its processes about once a second."""
        now = time.monotonic()
        if self._log.has_received or now < self._look_at:
            return False
        self._look_at = now + min(LOOK_SECONDS, self._limit_s / 4)
        ticks = sum(map(cpu_ticks, descendants(os.getpid())))
        if ticks != self._ticks:
            self._ticks, self._idle_since = ticks, now
        return now - self._idle_since >= self._limit_s
