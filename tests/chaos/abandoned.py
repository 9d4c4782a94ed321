"""What a chaos test leaves that was itself killed with SIGKILL: its processes and its directory.

The directory is locked while its test runs. All processes of the test have its path in their
environment, except what jobs on nodes have hidden, which their cgroups show.
"""

import contextlib
import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.slurm_cluster import remnants

PREFIX = "chaos-"
LOCK = "owner"
CLUSTER = "slurm"
"""The directory of the cluster, below that of the test."""


@contextmanager
def owned_directory() -> Iterator[Path]:
    """Within the block there is a new directory, which other tests leave alone."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        # Under its own name only once it is locked.
        with (folder / "new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "new").rename(folder / LOCK)
            yield folder


def sweep_abandoned() -> list[Path]:
    """End and remove what killed tests left, and return their directories."""
    found = [lock.parent for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}")]
    abandoned = [folder for folder in found if not _is_owned(folder)]
    for folder in abandoned:
        _sweep(folder)
    return abandoned


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that have this directory in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in value for value in process.environ().values()):
                found.append(process)
    return found


def _is_owned(folder: Path) -> bool:
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # its test has just ended
        return True
    return False


def _sweep(folder: Path) -> None:
    while processes := processes_of(folder):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, 1)
    conf = folder / CLUSTER / "slurm.conf"
    if conf.exists():
        nodes = re.findall(r"^NodeName=(?!DEFAULT)(\S+)", conf.read_text(), re.MULTILINE)
        remnants.kill_processes(nodes)
        remnants.remove_cgroups(nodes)
    shutil.rmtree(folder, ignore_errors=True)
