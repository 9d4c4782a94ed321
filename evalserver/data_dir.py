"""The lock by which one server owns a data directory.

The kernel gives a lock back when its process ends, however it ends: there is no stale one to clean
up, and no pid is trusted.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "server.lock"


class DataDirTaken(Exception):
    """Another server owns the data directory; says who."""


@contextmanager
def owned(data_dir: Path, address: str) -> Iterator[None]:
    """Create the directory if it is not there, and own it until the end of the block.

    ``address`` is what a second server is told of this one. Raises DataDirTaken, and OSError when
    the directory cannot be made or written.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, data_dir)
        holder = json.dumps({"pid": os.getpid(), "address": address})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataDirTaken(
            f"the data directory {data_dir} belongs to {_holder(descriptor)}; "
            "stop that server, or choose another --data-dir"
        ) from None


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"a running server, pid {holder['pid']}, at {holder['address']}"
    except (ValueError, KeyError, TypeError):
        return "another running server"
