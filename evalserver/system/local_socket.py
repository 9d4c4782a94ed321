"""The socket in the data directory, by which who owns the directory speaks to its server.

Its path may be longer than the kernel takes for a socket, so it is named by way of the opened
directory.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET_NAME = "server.sock"


def listen_locally(data_dir: Path) -> socket.socket:
    """A socket that its owner alone can open; one that is left of another server is replaced.

    The data directory must be owned by the caller. Raises OSError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            (data_dir / SOCKET_NAME).unlink()
        # Before it is there: nobody can come in between.
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
    """The path of the socket in a short form, which holds within the block."""
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)
