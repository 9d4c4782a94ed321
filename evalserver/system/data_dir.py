"""The locks that ensure that one server at a time owns a data directory.

The kernel releases a lock when its process ends for any reason, so there are no stale locks, and no
pid is trusted. The directory itself is locked, so that removing a file in it does not release the
lock. ``server.lock`` is locked too: it names the owner, older servers lock only this file, and some
network file systems cannot lock a directory.
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
"""Errors of file systems that cannot lock a directory. NFS emulates ``flock`` by a lock that
requires a descriptor open for writing (EBADF)."""


class DataDirTaken(Exception):
    """Another server owns the data directory; says which one."""


@contextmanager
def lock_data_dir(data_dir: Path, address: str) -> Iterator[bool]:
    """Create the directory if needed, and own it until the end of the block.

    ``address`` is shown to a second server that tries to start. Yields whether the directory itself
    is locked; if its file system cannot do that, only ``server.lock`` is. Raises DataDirTaken, and
    OSError if the directory cannot be created or written.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, directory)
        # Locked first, so that a rejected server does not create server.lock if it was removed.
        is_locked = _lock_directory(directory, data_dir)
        file = os.open(LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
        stack.callback(os.close, file)
        _lock(file, directory, data_dir)
        owner = json.dumps({"pid": os.getpid(), "address": address})
        os.ftruncate(file, 0)
        os.pwrite(file, owner.encode(), 0)
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
            f"the data directory {data_dir} belongs to {_describe_owner(directory)}; "
            "stop that server, or choose another --data-dir"
        ) from None


def _describe_owner(directory: int) -> str:
    try:
        file = os.open(LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        pid = _describe_lock_owner(directory)
        return f"another running server{pid}, whose {LOCK_NAME} was removed"
    try:
        owner = json.loads(os.pread(file, 4096, 0))
        return f"a running server, pid {owner['pid']}, at {owner['address']}"
    except (ValueError, KeyError, TypeError):
        return f"another running server{_describe_lock_owner(directory)}"
    finally:
        os.close(file)


def _describe_lock_owner(directory: int) -> str:
    """Return the owner of the directory's lock, from /proc/locks; empty if it is not there."""
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
