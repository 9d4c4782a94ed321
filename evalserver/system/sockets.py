"""Listening sockets, bound before anything else is done for a server that may not get them."""

import errno
import ipaddress
import socket
from functools import lru_cache

BACKLOG = 128
"""Connections that the kernel keeps until they are accepted."""

UNAVAILABLE_ADDRESS_ERRNOS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""``localhost`` may resolve to an IPv6 address on a machine whose IPv6 is off."""


class CannotListen(Exception):
    """The address cannot be listened on; says why."""


def listen(host: str, port: int) -> list[socket.socket]:
    """A bound socket for every address that ``host`` stands for. Raises CannotListen."""
    bound: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            try:
                bound.append(socket.create_server(address, family=family, backlog=BACKLOG))
            except OSError as error:
                if error.errno not in UNAVAILABLE_ADDRESS_ERRNOS:
                    raise
    except (OSError, UnicodeError) as error:  # the latter for a host that cannot be a name
        for each in bound:
            each.close()
        raise CannotListen(
            f"cannot listen on {url(host, port)}: {_describe_error(error)}"
        ) from error
    if not bound:
        raise CannotListen(f"cannot listen on {url(host, port)}: no such address on this machine")
    return bound


def url(host: str, port: int, *, secure: bool = False) -> str:
    """How a client calls the address."""
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Can the address be reached from this machine alone?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=4096)
def network_key(address: str) -> str:
    """What stands for who has this address: of IPv6 its network of 64 bits, since who has one
    address there has them all. An address that is none stands for itself."""
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
        return "that cannot be the name of a host"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; stop who uses it, or choose another --port"
    if error.errno == errno.EACCES:
        return "this user may not use the port; choose a --port above 1023"
    return error.strerror or str(error)
