"""Crash points: places where a test has a process end as SIGKILL ends it, or stop.

``EVALSERVER_CRASH_AT=claimed`` kills the process that reaches the point ``claimed``;
``EVALSERVER_STOP_AT=claimed`` stops it there until it gets SIGCONT.
"""

import os
import signal
from functools import cache

VARIABLE = "EVALSERVER_CRASH_AT"
STOP_VARIABLE = "EVALSERVER_STOP_AT"


def crash_point(name: str) -> None:
    """End or stop here and now, without a last word, if this is the point that a test has named."""
    if _named(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
    if _named(STOP_VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGSTOP)


@cache
def _named(variable: str) -> str | None:
    # Looked up once: some points lie where a process passes thousands of times a second.
    return os.environ.get(variable)
