"""Reading processes from ``/proc``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ENDED = "ZX"
"""States of a process that has ended, and waits to be reaped."""

WRITTEN = "write_bytes: "
"""Begins the line of ``/proc/PID/io`` with what was written to disk."""

MAX_OPEN_FILES = 4096


@dataclass(frozen=True)
class Process:
    """One process. ``started`` (clock ticks since the boot) distinguishes it from a later process
    with the same pid."""

    pid: int
    started: int
    parent: int
    session: int
    terminal: int
    state: str

    @property
    def has_ended(self) -> bool:
        """Whether it is a zombie."""
        return self.state in ENDED


def read_process(pid: int) -> Process | None:
    """Return the process with this pid, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            # The name, in parentheses, may contain anything: the fields begin after the last one.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    if not fields:
        return None
    return Process(
        pid=pid,
        started=int(fields[19]),
        parent=int(fields[1]),
        session=int(fields[3]),
        terminal=int(fields[4]),
        state=fields[0],
    )


def written_bytes(pid: int) -> int:
    """Return how many bytes a process has written to disk; 0 if that is unknown."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/io").read_text("ascii").splitlines():
            if line.startswith(WRITTEN):
                return int(line[len(WRITTEN) :])
    return 0


def command_line(pid: int) -> list[bytes]:
    """Return the arguments of a process; empty if it has ended, or has no program."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    # A forked process fills up what its arguments leave of its parent's.
    return arguments.rstrip(b"\0").split(b"\0")


def cpu_ticks(pid: int) -> int:
    """Return the clock ticks of processor time that a process has used; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, ValueError, IndexError):
        return 0


def files_written(pid: int) -> Iterator[str]:
    """Yield the names of files that a process has open for writing, up to a maximum."""
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in islice(entries, MAX_OPEN_FILES):
            with suppress(OSError, ValueError, IndexError):
                info = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text("ascii")
                if int(info.partition("flags:")[2].split()[0], 8) & (os.O_WRONLY | os.O_RDWR):
                    yield str(Path(entry.path).readlink())


def send_signal(process: Process, signum: int) -> None:
    """Send a signal to this process, but not to a later one with the same pid."""
    with suppress(ProcessLookupError, PermissionError):
        descriptor = os.pidfd_open(process.pid)
        try:
            now = read_process(process.pid)
            if now is not None and now.started == process.started:
                signal.pidfd_send_signal(descriptor, signum)
        finally:
            os.close(descriptor)


def all_processes() -> Iterator[Process]:
    """Yield every visible process of the machine, including zombies."""
    for entry in os.listdir("/proc"):  # noqa: PTH208 - many entries, names are all it takes
        process = read_process(int(entry)) if entry.isdigit() else None
        if process is not None:
            yield process


def descendants(pid: int) -> list[int]:
    """Return the pids of all descendants, parents before their children, including zombies.

    It is no atomic snapshot: processes that fork or end meanwhile may be missing.
    """
    if not _lists_children():
        return _below(pid, _children_by_parent())
    found = {pid: None}
    for parent in (generation := [pid]):
        new = [child for child in _children(parent) if child not in found]
        found.update(dict.fromkeys(new))
        generation.extend(new)
    return list(found)[1:]


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, including zombies."""
    return _children(pid) if _lists_children() else _children_by_parent().get(pid, [])


def _lists_children() -> bool:
    """Return whether the kernel lists the children of each process."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


def _children(pid: int) -> list[int]:
    # Much faster than reading every process, so that it keeps up with one that always forks.
    found: list[int] = []
    with suppress(OSError):  # it has ended, and its children have another parent
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as above
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:  # noqa: PTH123
                found.extend(map(int, file.read().split()))
    return found


def _children_by_parent() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process.pid)
    return children


def _below(pid: int, children: dict[int, list[int]]) -> list[int]:
    found: list[int] = []
    generation = [pid]
    while generation:
        generation = [child for parent in generation for child in children.pop(parent, [])]
        found.extend(generation)
    return found
