"""Which addresses webhooks are sent to: public ones, and those that the operator allows.

The address is checked that the connection is made to, at each attempt: so a name that resolves to
another address later, or to several, does not lead past the check.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.ip_network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")


class AddressRefused(OSError):
    """A receiver has no address that messages are sent to."""


class AllowedAddresses(AbstractResolver):
    """Resolves names to the addresses that messages are sent to, and to no others."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in networks]

    def allows(self, address: str) -> bool:
        """Whether messages are sent to an address: a public one, or one in an allowed network."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        reached = [found, *_embedded(found)]
        if any(each in network for each in reached for network in self._networks):
            return True
        return all(each.is_global and not each.is_multicast for each in reached)

    def require_allowed(self, host: str) -> None:
        """Raise AddressRefused if a host is written as an address that is not allowed."""
        if is_address(host) and not self.allows(host):
            raise AddressRefused(refusal(host))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the allowed addresses of a host.

        Raises AddressRefused when it has others only, OSError when it has none.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        addresses = [
            (str(where[0]), int(where[1]), each)
            for each, _, _, _, where in found
            if each in FAMILIES
        ]
        allowed = [
            ResolveResult(
                hostname=host,
                host=address,
                port=number,
                family=each,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address, number, each in addresses
            if self.allows(address)
        ]
        if not allowed:
            raise AddressRefused(refusal(host))
        return allowed

    async def close(self) -> None:
        """Release nothing."""


FAMILIES = (socket.AF_INET, socket.AF_INET6)


def is_address(host: str) -> bool:
    """Whether a host is written as an address."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def refusal(host: str) -> str:
    """Return why nothing is sent to a host."""
    return (
        f"{host} is a private address; the operator of the server can allow it with"
        " --webhook-allow-network"
    )


def _embedded(address: Address) -> list[Address]:
    """Return the IPv4 addresses that a packet to an IPv6 address may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    found += address.teredo or ()
    if address in NAT64 or address in NAT64_LOCAL:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if int(address) < 2**32:  # an IPv4-compatible address
        found.append(ipaddress.IPv4Address(int(address)))
    return [each for each in found if each is not None]
