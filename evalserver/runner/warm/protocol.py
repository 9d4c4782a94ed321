"""The messages between the server and a warm parent: a line of JSON each, over a socket pair.

The parent sends one message when it is ready:

    {"ready": true, "seconds": 9.1, "files": 14000, "threads": 6, "fingerprint_ms": 60.1,
     "harness": "0.7.3"}
    {"unusable": "<why>"}                  and then it ends

Then it answers each message of the server:

    {"start": "<run directory>", "environment": {<variables of the runner>}}

    {"code": 0, "fork_ms": 8.0, "fingerprint_ms": 60.0}   the exit code of the runner's program
    {"refused": "<why>"}                                  nothing was started; then it ends

The run directory has been prepared as for a cold start. When the server's end of the socket is
closed, the parent ends.
"""

from __future__ import annotations

import json
import socket
from typing import Any

MAX_MESSAGE_BYTES = 1 << 20
PIECE_BYTES = 65536


def parse_message(line: bytes) -> dict[str, Any]:
    """Read a message from its line. Raises ValueError if it is invalid."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message


class Connection:
    """One end of the socket. Its methods raise OSError, or ValueError for an invalid message."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next message; None if the other end was closed."""
        while b"\n" not in self._received:
            piece = self._socket.recv(PIECE_BYTES)
            if not piece:
                return None
            self._received += piece
            if len(self._received) > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
        line, _, self._received = self._received.partition(b"\n")
        return parse_message(line)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
