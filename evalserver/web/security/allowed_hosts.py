"""Validation of the header ``Host``, against DNS rebinding.

A page of another site can make its own host name resolve to this server's address. The browser then
treats the server as the page's own origin, and only the header ``Host`` reveals it.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

MAX_CACHED_HEADERS = 64

WILDCARD_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - does not listen


class AllowedHosts:
    """The allowed host names and addresses of a server that listens on ``bound``.

    An address in ``Host`` cannot be rebound, but must be the one that the server listens on, if
    that is known.
    """

    def __init__(self, bound: str, allowed: Iterable[str]) -> None:
        self._bound = _parse_address(bound)
        self._local = self._bound is None or self._bound.is_loopback or self._bound.is_unspecified
        names = {bound, *allowed}
        if self._local:
            names.add("localhost")
        if bound in WILDCARD_ADDRESSES:
            names.update({socket.gethostname(), socket.gethostname().partition(".")[0]})
        self._names = {_normalize(name) for name in names}
        self._allowed_headers: set[str] = set()

    def allows(self, header: str) -> bool:
        """Return whether this value of ``Host`` is allowed. Any port is, since ports are
        forwarded."""
        if header in self._allowed_headers:
            return True
        name = _normalize(re.sub(r":\d{0,5}\Z", "", header) if not header.endswith("]") else header)
        if name not in self._names and not self._is_allowed_address(name):
            return False
        if len(self._allowed_headers) < MAX_CACHED_HEADERS:
            self._allowed_headers.add(header)
        return True

    def _is_allowed_address(self, name: str) -> bool:
        address = _parse_address(name)
        if address is None:
            return False
        if self._bound is None or self._bound.is_unspecified:
            return True
        return address == self._bound or (address.is_loopback and self._bound.is_loopback)


def is_same_origin(origin: str, host: str) -> bool:
    """Return whether an origin is that of the server with this ``Host`` header."""
    try:
        parts = urlsplit(origin)
        default = {"http": 80, "https": 443}[parts.scheme]
        ours = urlsplit(f"{parts.scheme}://{host}")
        return (parts.hostname, parts.port or default) == (ours.hostname, ours.port or default)
    except (KeyError, ValueError):
        return False


def _normalize(name: str) -> str:
    return name.lower().rstrip(".").removeprefix("[").removesuffix("]")


def _parse_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
