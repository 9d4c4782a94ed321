"""Listening sockets and network addresses."""

import errno
import ipaddress
import socket
from functools import lru_cache

BACKLOG = 128
"""Connections that the kernel queues until they are accepted."""

UNAVAILABLE_ADDRESS_ERRNOS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""``localhost`` may resolve to an IPv6 address on a machine without IPv6."""


class CannotListen(Exception):
    """The server cannot listen on the address; says why."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Bind a socket for every address that ``host`` resolves to. Raises CannotListen."""
    bound: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            try:
                bound.append(socket.create_server(address, family=family, backlog=BACKLOG))
            except OSError as error:
                if error.errno not in UNAVAILABLE_ADDRESS_ERRNOS:
                    raise
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        for each in bound:
            each.close()
        raise CannotListen(
            f"cannot listen on {url(host, port)}: {_describe_error(error)}"
        ) from error
    if not bound:
        raise CannotListen(f"cannot listen on {url(host, port)}: no such address on this machine")
    return bound


def url(host: str, port: int, *, secure: bool = False) -> str:
    """Return the URL of the address."""
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether the address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=4096)
def network_key(address: str) -> str:
    """Return the key under which clients are counted: an IPv4 address, or an IPv6 /64 network.

    One client usually has a whole /64 network. A text that is no address is its own key.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, (str(at[0]), port)) for family, _, _, _, at in found))


def _describe_error(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "that is not a valid host name"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; stop the process that uses it, or choose another --port"
    if error.errno == errno.EACCES:
        return "this user may not use the port; choose a --port above 1023"
    return error.strerror or str(error)
