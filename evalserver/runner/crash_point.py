"""Crash points: places where a test has a process end as SIGKILL ends it.

``EVALSERVER_CRASH_AT=claimed`` kills the process that reaches the point ``claimed``.
"""

import os
import signal
from functools import cache

VARIABLE = "EVALSERVER_CRASH_AT"


def crash_point(name: str) -> None:
    """End here and now, without a last word, if this is the point that a test has named."""
    if _named() == name:
        os.kill(os.getpid(), signal.SIGKILL)


@cache
def _named() -> str | None:
    # Looked up once: some points lie where a process passes thousands of times a second.
    return os.environ.get(VARIABLE)
