"""Telling systemd how the server is doing: the datagrams of ``sd_notify(3)``."""

import socket
from collections.abc import Mapping
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


def notify(state: str, environment: Mapping[str, str]) -> None:
    """Send a state such as ``READY=1`` to who started the server, if that is listening."""
    path = environment.get(VARIABLE)
    if not path:
        return
    # A leading @ stands for the zero byte of an abstract address.
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
