"""What a server's process uses, sampled while it runs, and whether that grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MAX_GROWTH_KB = 3 * 1024
MAX_MORE_DESCRIPTORS = 5
"""Connections of the moment come and go; a leak is more than that after some thousand jobs."""
WINDOW = 12
"""Samples of which the median is taken, at the beginning and at the end."""


@dataclass(frozen=True)
class Sample:
    """What a process uses at one moment. Memory is what it shares with no other process."""

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
    """Look at a process of ours, and at the database that it writes. Raises OSError."""
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
    """What has grown since ``after_s``, one sentence each; nothing if all stayed as it was."""
    settled = [each for each in samples if each.seconds >= after_s]
    if len(settled) < 2 * WINDOW:
        return [f"too few samples after {after_s:g} s to say anything: {len(settled)}"]
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
