"""Crash points: places in the code where a test can kill (SIGKILL) or stop (SIGSTOP) a process.

``EVALSERVER_CRASH_AT=claimed`` kills the process that reaches the point ``claimed``;
``EVALSERVER_STOP_AT=claimed`` stops it there until it gets SIGCONT.
"""

from __future__ import annotations

import os
import signal
from functools import cache

VARIABLE = "EVALSERVER_CRASH_AT"
STOP_VARIABLE = "EVALSERVER_STOP_AT"


def crash_point(name: str) -> None:
    """Kill or stop this process if a test has selected this crash point."""
    if _selected(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
    if _selected(STOP_VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGSTOP)


@cache
def _selected(variable: str) -> str | None:
    # Cached: some crash points are passed thousands of times a second.
    return os.environ.get(variable)
