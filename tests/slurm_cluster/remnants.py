"""What the jobs of a cluster leave on the machine when its daemons are gone: processes, cgroups."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from tests.slurm_cluster.config import CGROUPS

MAX_SECONDS = 30.0


def find_processes(nodes: Iterable[str]) -> list[psutil.Process]:
    """Return the processes of jobs on these nodes, their ``slurmstepd`` among them."""
    names = tuple(nodes)
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if _is_of(process, names):
                found[process.pid] = process
                found.update((child.pid, child) for child in process.children(recursive=True))
    return list(found.values())


def kill_processes(nodes: Iterable[str]) -> None:
    """Kill all of them, until none is left."""
    names = tuple(nodes)
    end = time.monotonic() + MAX_SECONDS
    while left := find_processes(names):
        assert time.monotonic() < end, f"these processes of jobs cannot be killed: {left}"
        for directory in _cgroups(names):
            with contextlib.suppress(OSError):
                (directory / "freezer.state").write_text("THAWED")
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)


def remove_cgroups(nodes: Iterable[str]) -> None:
    """Remove the cgroups that ``slurmd`` made for these nodes."""
    for directory in _cgroups(tuple(nodes)):
        for below in sorted(directory.rglob("*/"), reverse=True):
            _remove(below)
        _remove(directory)


def _is_of(process: psutil.Process, nodes: tuple[str, ...]) -> bool:
    groups = Path(f"/proc/{process.pid}/cgroup").read_text()
    if any(f"/slurm_{node}" in groups for node in nodes):
        return True
    # Without cgroups: a job knows the name of its node.
    return process.environ().get("SLURMD_NODENAME") in nodes


def _cgroups(nodes: tuple[str, ...]) -> Iterator[Path]:
    for node in nodes:
        yield from CGROUPS.glob(f"*/slurm_{node}")


def _remove(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()
