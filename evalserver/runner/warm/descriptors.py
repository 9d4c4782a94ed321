"""The open descriptors of this process."""

from __future__ import annotations

import os
from contextlib import suppress


def open_descriptors() -> list[int]:
    """Return the open descriptors beyond the three standard ones, in order."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all it takes
        if int(name) > 2:
            with suppress(OSError):  # the one of the directory itself is closed by now
                os.fstat(int(name))
                found.append(int(name))
    return sorted(found)
