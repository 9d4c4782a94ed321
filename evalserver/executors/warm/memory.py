"""The memory of processes and of the machine, from ``/proc``."""

from dataclasses import dataclass
from pathlib import Path

KIBI = 1024
SHARED = ("Shared_Clean", "Shared_Dirty")


@dataclass(frozen=True)
class Memory:
    """The memory of a process in bytes: all that is resident, and what of it is shared with other
    processes, such as those that it has forked."""

    resident: int
    shared: int


def memory_of(pid: int) -> Memory | None:
    """Return the memory of a process; None if it has ended. Takes milliseconds."""
    found = _read_amounts(Path(f"/proc/{pid}/smaps_rollup"))
    if "Rss" not in found:
        return None
    return Memory(found["Rss"], sum(found.get(name, 0) for name in SHARED))


def available_share() -> float:
    """Return the share of the machine's memory that is available, from 0 to 1; 1 if unknown."""
    found = _read_amounts(Path("/proc/meminfo"))
    total, available = found.get("MemTotal", 0), found.get("MemAvailable")
    return 1.0 if not total or available is None else available / total


def _read_amounts(path: Path) -> dict[str, int]:
    """Return the amounts in bytes of a file with lines such as ``Rss:  9056 kB``."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {
        found[0].rstrip(":"): int(found[1]) * KIBI
        for found in words
        if len(found) == len(("Rss:", "9056", "kB")) and found[2] == "kB"
    }
