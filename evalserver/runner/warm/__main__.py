"""The program of a warm parent: see ``command.py`` for its arguments, ``protocol.py`` for what it
says."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType

# A package without its __init__, which would import the client and the server.
package = ModuleType("evalserver")
package.__path__ = [str(Path(__file__).resolve().parents[2])]
sys.modules.setdefault("evalserver", package)

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Import the harness, then start attempts until the server's end of the socket is closed."""
    from evalserver.runner.warm.loading import Unusable
    from evalserver.runner.warm.parent import Parent
    from evalserver.runner.warm.protocol import Connection
    from evalserver.runner.warm.refusal import Refused

    # While it imports, it does not read the socket.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    descriptor = int(sys.argv[1])
    connection = Connection(socket.socket(fileno=descriptor))
    try:
        parent = Parent(Path(sys.argv[2]), sys.argv[3], descriptor)
        connection.send(parent.ready_message())
    except Unusable as error:
        connection.send({"unusable": str(error)})
        return
    while (message := connection.receive()) is not None:
        try:
            answer = parent.start(Path(message["start"]), message["environment"])
        except Refused as error:
            connection.send({"refused": str(error)})
            return
        connection.send(answer)


if __name__ == "__main__":
    try:
        main()
    except OSError:
        # The server has ended.
        os._exit(1)
    # What modules do at the end of an evaluation is not for this process.
    os._exit(0)
