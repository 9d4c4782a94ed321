"""Whom a request comes from, and whether it came over TLS, when proxies stand in between."""

import ipaddress
from collections.abc import Iterable

from aiohttp import web

FORWARDED_FOR = "X-Forwarded-For"
FORWARDED_PROTO = "X-Forwarded-Proto"


class Proxies:
    """The proxies whose word is taken; what all others say of addresses is not looked at."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in networks]

    def client_address(self, request: web.BaseRequest) -> str:
        """The address of the client: the last one in the chain that is no proxy of ours."""
        address = request.remote or ""
        if not self._networks or not self.trusts(address):
            return address
        # Who sends the header first can write anything; each proxy appends whom it talked to.
        chain = ",".join(request.headers.getall(FORWARDED_FOR, [])).split(",")
        for each in reversed([part.strip() for part in chain]):
            if not _is_address(each):
                break
            address = each
            if not self.trusts(each):
                break
        return address

    def are_secure(self, request: web.BaseRequest) -> bool:
        """Did the client speak TLS, with the server or with a trusted proxy?"""
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
