"""The Unix socket in the data directory, for the operator who owns the directory.

Its path may be longer than the kernel allows for a socket, so it is addressed through a descriptor
of the directory.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET_NAME = "server.sock"


def listen_locally(data_dir: Path) -> socket.socket:
    """Listen on a socket that only its owner can open; the socket of an earlier server is replaced.

    The caller must hold the lock of the data directory. Raises OSError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            (data_dir / SOCKET_NAME).unlink()
        # Before bind, so that no other user can connect in between.
        os.fchmod(listening.fileno(), 0o600)
        with short_path(data_dir) as path:
            listening.bind(path)
        (data_dir / SOCKET_NAME).chmod(0o600)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


@contextmanager
def short_path(data_dir: Path) -> Iterator[str]:
    """Yield a short path of the socket, which is valid within the block."""
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)
