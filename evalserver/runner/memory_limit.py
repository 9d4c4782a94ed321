"""Limiting the memory of an attempt, with a cgroup of either version."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from evalserver.runner.cgroups import Cgroup, make_cgroup, memory_cgroup

LIMITS = ("memory.max", "memory.limit_in_bytes")
"""The file with the limit: of version 2, and of version 1."""
CHECK_OPTION = "--can-limit-memory"
"""With it, the runner's program only says whether it could limit memory."""
ANY_LIMIT = 1 << 30


def limit_memory(cgroup: Cgroup | None, run_dir: Path, limit: int) -> Cgroup | None:
    """Limit the bytes of memory of all processes that enter the cgroup that is returned.

    It is the attempt's own cgroup with version 2, and another one with version 1; None if this
    machine does not allow it. Processes beyond the limit are killed by the kernel.
    """
    if cgroup is not None and _limit(cgroup, limit):
        return cgroup
    other = memory_cgroup(run_dir)
    if other is None:
        return None
    with suppress(OSError):
        other.path.mkdir(exist_ok=True)
        if _limit(other, limit) and other.can_be_entered():
            return other
    other.remove()
    return None


def can_limit_memory() -> bool:
    """Return whether the memory of attempts can be limited by this process. It forks."""
    run_dir = Path(f"/evalserver-check-{os.getpid()}")
    cgroup = make_cgroup(run_dir)
    limited = limit_memory(cgroup, run_dir, ANY_LIMIT)
    for each in (limited, cgroup):
        if each is not None:
            each.remove()
    return limited is not None


def _limit(cgroup: Cgroup, limit: int) -> bool:
    folder = cgroup.path
    if not any((folder / name).exists() for name in LIMITS):
        _write(folder.parent / "cgroup.subtree_control", "+memory")
    if not any(_write(folder / name, str(limit)) for name in LIMITS):
        return False
    # Without these, memory beyond the limit would be swapped out, for hours.
    _write(folder / "memory.swap.max", "0")
    _write(folder / "memory.memsw.limit_in_bytes", str(limit))
    return True


def _write(path: Path, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
