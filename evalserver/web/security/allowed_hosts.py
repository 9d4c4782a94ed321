"""By which names the server may be called.

A page from elsewhere can have its own name lead to this server's address (DNS rebinding); then the
browser takes the server for the page's own origin, and only the header ``Host`` tells.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

MOST_REMEMBERED = 64

WILDCARD_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - names them, listens on nothing


class Hosts:
    """The names and addresses for a server that listens on ``bound``.

    An address in ``Host`` cannot be rebound, since there is no name in it; all the same, it must be
    the one that is listened on where that is known.
    """

    def __init__(self, bound: str, allowed: Iterable[str]) -> None:
        self._bound = _address(bound)
        self._local = self._bound is None or self._bound.is_loopback or self._bound.is_unspecified
        names = {bound, *allowed}
        if self._local:
            names.add("localhost")
        if bound in WILDCARD_ADDRESSES:
            names.update({socket.gethostname(), socket.gethostname().partition(".")[0]})
        self._names = {_plain(name) for name in names}
        self._fine: set[str] = set()

    def allow(self, header: str) -> bool:
        """May this be the value of ``Host``? Its port does not matter: ports are forwarded."""
        if header in self._fine:
            return True
        name = _plain(re.sub(r":\d{0,5}\Z", "", header) if not header.endswith("]") else header)
        if name not in self._names and not self._is_fine_address(name):
            return False
        if len(self._fine) < MOST_REMEMBERED:
            self._fine.add(header)
        return True

    def _is_fine_address(self, name: str) -> bool:
        address = _address(name)
        if address is None:
            return False
        if self._bound is None or self._bound.is_unspecified:
            return True
        return address == self._bound or (address.is_loopback and self._bound.is_loopback)


def is_same_origin(origin: str, host: str) -> bool:
    """Is it the origin of a page that the server called ``host`` has sent?"""
    try:
        parts = urlsplit(origin)
        default = {"http": 80, "https": 443}[parts.scheme]
        ours = urlsplit(f"{parts.scheme}://{host}")
        return (parts.hostname, parts.port or default) == (ours.hostname, ours.port or default)
    except (KeyError, ValueError):
        return False


def _plain(name: str) -> str:
    return name.lower().rstrip(".").removeprefix("[").removesuffix("]")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
