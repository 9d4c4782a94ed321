"""The address and scheme of a client behind trusted proxies."""

import ipaddress
from collections.abc import Iterable

from aiohttp import web

FORWARDED_FOR = "X-Forwarded-For"
FORWARDED_PROTO = "X-Forwarded-Proto"


class TrustedProxies:
    """The proxies whose forwarding headers are trusted; those of others are ignored."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in networks]

    def client_address(self, request: web.BaseRequest) -> str:
        """Return the client's address: the last one in the chain that is not a trusted proxy."""
        address = request.remote or ""
        if not self._networks or not self.trusts(address):
            return address
        # The client can send any value; each proxy appends the address of its peer.
        chain = ",".join(request.headers.getall(FORWARDED_FOR, [])).split(",")
        for each in reversed([part.strip() for part in chain]):
            if not _is_address(each):
                break
            address = each
            if not self.trusts(each):
                break
        return address

    def is_secure(self, request: web.BaseRequest) -> bool:
        """Return whether the client uses TLS, with the server or a trusted proxy."""
        if request.secure:
            return True
        if not self._networks or not self.trusts(request.remote or ""):
            return False
        return request.headers.get(FORWARDED_PROTO, "").strip().lower() == "https"

    def trusts(self, address: str) -> bool:
        """Return whether the address is that of a trusted proxy."""
        if not _is_address(address):
            return False
        found = ipaddress.ip_address(address)
        return any(found in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
