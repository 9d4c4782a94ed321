"""The locks by which one server owns a data directory.

The kernel releases a lock when its process ends, however it ends: there is no stale one to clean
up, and no pid is trusted. The directory itself is locked, so that removing a file in it lets
nobody in; ``server.lock`` is locked too, because it says who the owner is, because servers before
this one lock nothing else, and because some network file systems cannot lock a directory.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

LOCK_NAME = "server.lock"

UNSUPPORTED_LOCK_ERRNOS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""NFS turns a lock of this kind into one that needs a descriptor open for writing, which no
directory has (EBADF); others have no such locks."""


class DataDirTaken(Exception):
    """Another server owns the data directory; says who."""


@contextmanager
def lock_data_dir(data_dir: Path, address: str) -> Iterator[bool]:
    """Create the directory if it is not there, and own it until the end of the block.

    ``address`` is what a second server is told of this one. Yields whether the directory itself is
    locked: where its file system cannot do that, ``server.lock`` alone keeps others out. Raises
    DataDirTaken, and OSError when the directory cannot be made or written.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, directory)
        # First, so that who is refused does not leave a new server.lock for one that was removed.
        is_locked = _lock_directory(directory, data_dir)
        file = os.open(LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
        stack.callback(os.close, file)
        _lock(file, directory, data_dir)
        holder = json.dumps({"pid": os.getpid(), "address": address})
        os.ftruncate(file, 0)
        os.pwrite(file, holder.encode(), 0)
        yield is_locked


def _lock_directory(directory: int, data_dir: Path) -> bool:
    try:
        _lock(directory, directory, data_dir)
    except OSError as error:
        if error.errno not in UNSUPPORTED_LOCK_ERRNOS:
            raise
        return False
    return True


def _lock(descriptor: int, directory: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataDirTaken(
            f"the data directory {data_dir} belongs to {_holder(directory)}; "
            "stop that server, or choose another --data-dir"
        ) from None


def _holder(directory: int) -> str:
    try:
        file = os.open(LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return f"another running server{_pid_by_kernel(directory)}, whose {LOCK_NAME} was removed"
    try:
        holder = json.loads(os.pread(file, 4096, 0))
        return f"a running server, pid {holder['pid']}, at {holder['address']}"
    except (ValueError, KeyError, TypeError):
        return f"another running server{_pid_by_kernel(directory)}"
    finally:
        os.close(file)


def _pid_by_kernel(directory: int) -> str:
    """Who holds the lock of the directory, as /proc/locks tells it; empty if it does not."""
    inode = os.fstat(directory).st_ino
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    # "12: FLOCK  ADVISORY  WRITE 4711 08:02:131090 0 EOF"
    for _, kind, _, _, pid, file, *_ in (line.split() for line in lines if " -> " not in line):
        if kind == "FLOCK" and file.endswith(f":{inode}") and int(pid) > 0:
            return f", pid {pid}"
    return ""
