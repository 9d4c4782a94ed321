"""What the kernel recorded about killing processes of an attempt for lack of memory.

Its log names the killed process, but only root may read it, or everybody where
``kernel.dmesg_restrict`` is 0. The counters of cgroups are readable, but say only how many.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from evalserver.runner.cgroups import Cgroup, own_memory_cgroups

KERNEL_LOG = Path("/dev/kmsg")
FIRST_NAMESPACE = "pid:[4026531836]"
"""The namespace of the pids in the kernel's log; a container has others."""
MAX_RECORDS = 50_000
MAX_RECORD_BYTES = 8192

_KILLED = re.compile(rb"ut of memory: Killed process (\d{1,9}) \((.{0,64}?)\)")
_COUNT = re.compile(r"^oom_kill (\d{1,18})$", re.MULTILINE)
_COUNTERS = ("memory.events", "memory.oom_control")
"""Files with the counter: of version 2, and of version 1."""


class OutOfMemoryRecord:
    """What the kernel records from now on, of the cgroups of an attempt and of others. ``close``
    it.

    ``limit`` is how many bytes these cgroups allow; None: they limit nothing.
    """

    def __init__(self, cgroups: Iterable[Cgroup] = (), limit: int | None = None) -> None:
        self._limit = limit
        self._own = {file: count for each in cgroups for file, count in _counts(each.path).items()}
        self._shared = {
            file: count for path in own_memory_cgroups() for file, count in _counts(path).items()
        }
        self._log = _open_at_end(KERNEL_LOG)

    def close(self) -> None:
        """Close the kernel's log."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def describe(self, pids: Collection[int], was_killed: bool) -> str | None:
        """Return a sentence about a kill of a process of the attempt; None without one.

        ``pids`` are the attempt's processes. ``was_killed`` says whether its main process got
        SIGKILL: only then a kill in a cgroup that it shares with others counts.
        """
        own = _increase(self._own)
        why = ""
        if own > 0 and self._limit is not None:
            why = f" It may use {self._limit} bytes (--memory-per-job)."
        for pid, name in self._killed_in_log():
            if pid in pids:
                return f"The kernel killed process {pid} ({name}) of it for lack of memory.{why}"
        if own > 0:
            processes = "a process" if own == 1 else f"{own} processes"
            told = f"The kernel killed {processes} of it for lack of memory, as its cgroup counts."
            return f"{told}{why}"
        if was_killed and _increase(self._shared) > 0:
            return (
                "The harness got SIGKILL, and meanwhile the kernel killed for lack of memory in the"
                " cgroup that it shares with the server."
            )
        return None

    def _killed_in_log(self) -> list[tuple[int, str]]:
        found = []
        for _ in range(MAX_RECORDS if self._log is not None else 0):
            try:
                record = os.read(self._log or 0, MAX_RECORD_BYTES)
            except OSError as error:
                if error.errno == errno.EPIPE:  # overwritten before it was read
                    continue
                break
            match = _KILLED.search(record)
            if match is not None:
                found.append((int(match[1]), match[2].decode("utf-8", "replace")))
        return found


def _open_at_end(path: Path) -> int | None:
    with suppress(OSError):
        if os.readlink("/proc/self/ns/pid") != FIRST_NAMESPACE:  # noqa: PTH115 - no file
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(descriptor, 0, os.SEEK_END)
        return descriptor
    return None


def _counts(cgroup: Path) -> dict[Path, int]:
    found = {}
    for name in _COUNTERS:
        count = _count(cgroup / name)
        if count is not None:
            found[cgroup / name] = count
    return found


def _count(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        match = _COUNT.search(file.read_text("ascii"))
        return None if match is None else int(match[1])
    return None


def _increase(before: dict[Path, int]) -> int:
    return max(((_count(file) or count) - count for file, count in before.items()), default=0)
