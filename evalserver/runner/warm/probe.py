"""Whether a process can still compute after it was forked: tried once, with a child that ends.

A library that ran an OpenMP region before the fork makes every child wait for ever in its first
one.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

PROBE_SECONDS = 20.0
POLL_SECONDS = 0.01
SIDE = 512
"""Of the matrices, large enough that libraries use several threads."""


def fault_of_forks(limit_s: float = PROBE_SECONDS) -> str | None:
    """Return a clause about what a forked child cannot do; None if it can compute."""
    pid = os.fork()
    if pid == 0:
        _compute_and_end()
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return None if status == 0 else f"a forked child failed with wait status {status}"
        time.sleep(POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"a forked child could not compute within {limit_s:g} s"


def _compute_and_end() -> None:
    code = 1
    try:
        torch: Any = sys.modules.get("torch")
        if torch is not None:
            ones = torch.ones(SIDE, SIDE)
            float((ones @ ones).exp_().sum())
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None:
            ones = numpy.ones((SIDE, SIDE))
            float((ones @ ones).sum())
        code = 0
    finally:
        os._exit(code)
