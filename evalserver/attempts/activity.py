"""Whether an attempt is active: what of its files has changed, and what it has written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evalserver.attempts.launch import WORKING_DIRECTORY
from evalserver.checkpoints.merging import requested_merge
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Paths
from evalserver.executors.disk_writes import written_bytes
from evalserver.system.attempt_log import log_path
from evalserver.system.directory_listing import list_statuses

MAX_ENTRIES = 10_000
"""Files and directories that are looked at. Writes to others are seen by what processes wrote."""


@dataclass(frozen=True)
class ActivitySnapshot:
    """What was seen of an attempt at one time.

    Two snapshots differ if the attempt was active in between. ``newest`` is the time of the last
    change of a file, in seconds since the epoch; None if there is no file.
    """

    state: tuple[int, ...]
    newest: float | None


def take_snapshot(request: EvaluateRequest, paths: Paths) -> ActivitySnapshot:
    """Look at the log and files of an attempt, and at what its processes wrote.

    Reads the disk: call it in a thread.
    """
    count = times = sizes = newest = 0
    for status in list_statuses(_places(request, paths), MAX_ENTRIES):
        count += 1
        times += status.st_mtime_ns
        sizes += status.st_size
        newest = max(newest, status.st_mtime_ns)
    state = (count, times, sizes, written_bytes(paths.run_dir))
    return ActivitySnapshot(state, newest / 1e9 if count else None)


def _places(request: EvaluateRequest, paths: Paths) -> Iterator[Path]:
    """Yield the files and directories that an attempt writes. Those of the runner are left out: it
    is active also when the harness is not."""
    yield log_path(paths.run_dir)
    yield paths.output_dir
    yield paths.run_dir / WORKING_DIRECTORY
    yield paths.cache_dir
    merge = requested_merge(request)
    if merge is not None:
        yield merge.output_path
