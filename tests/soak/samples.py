"""Samples of a server's resource usage, and whether it grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MAX_GROWTH_KB = 3 * 1024
MAX_MORE_DESCRIPTORS = 5
"""More than this after some thousand jobs is a leak; open connections vary by less."""
WINDOW = 12
"""How many samples are averaged (median) at the beginning and at the end."""


@dataclass(frozen=True)
class Sample:
    """Resource usage at one time. Memory is private memory."""

    seconds: float
    jobs: int
    reads: int
    private_kb: int
    descriptors: int
    threads: int
    database_kb: int

    HEADER = "minute    jobs    reads  private MB  descriptors  threads  database MB"

    def __str__(self) -> str:
        return (
            f"{self.seconds / 60:6.1f} {self.jobs:7d} {self.reads:8d}"
            f"  {self.private_kb / 1024:10.1f}  {self.descriptors:11d}"
            f"  {self.threads:7d}  {self.database_kb / 1024:11.1f}"
        )


def take_sample(pid: int, data_dir: Path, seconds: float, jobs: int, reads: int) -> Sample:
    """Sample a process and its database. Raises OSError."""
    process = Path("/proc") / str(pid)
    database = data_dir.glob("evalserver.db*")
    return Sample(
        seconds,
        jobs,
        reads,
        _private_kb((process / "smaps_rollup").read_text()),
        len([*(process / "fd").iterdir()]),
        len([*(process / "task").iterdir()]),
        sum(each.stat().st_size for each in database) // 1024,
    )


def growth(samples: Sequence[Sample], after_s: float) -> list[str]:
    """Return what has grown since ``after_s``, one sentence each."""
    settled = [each for each in samples if each.seconds >= after_s]
    if len(settled) < 2 * WINDOW:
        return [f"too few samples after {after_s:g} s: {len(settled)}"]
    first, last = settled[:WINDOW], settled[-WINDOW:]
    found = []
    more_kb = median(each.private_kb for each in last) - median(each.private_kb for each in first)
    if more_kb > MAX_GROWTH_KB:
        found.append(f"memory grew by {more_kb / 1024:.1f} MB")
    more = median(each.descriptors for each in last) - median(each.descriptors for each in first)
    if more > MAX_MORE_DESCRIPTORS:
        found.append(f"open descriptors grew by {more:g}")
    return found


def _private_kb(rollup: str) -> int:
    values = [line.split() for line in rollup.splitlines() if line.startswith("Private_")]
    return sum(int(value) for _, value, _ in values)
