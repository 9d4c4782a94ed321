"""Notifications of systemd, see ``sd_notify(3)``."""

import socket
from collections.abc import Mapping
from contextlib import suppress

SOCKET_VARIABLE = "NOTIFY_SOCKET"


def notify(state: str, environment: Mapping[str, str]) -> None:
    """Send a state such as ``READY=1`` to the service manager, if there is one."""
    path = environment.get(SOCKET_VARIABLE)
    if not path:
        return
    # A leading @ stands for the zero byte of an abstract address.
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
