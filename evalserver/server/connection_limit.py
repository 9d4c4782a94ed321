"""Limits on concurrent connections: in total, and per address.

Limits and time limits of requests are configured in ``http_server.py``, and enforced by aiohttp.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from evalserver.system.sockets import BACKLOG, network_key

MAX_LOCAL_CONNECTIONS = 16
"""A separate limit for the socket in the data directory, so that the operator can always
connect."""

HANDSHAKE_TIMEOUT_SECONDS = 10.0
NETWORK_SHARE = 4
"""One IPv4 address or IPv6 network may have at most 1/NETWORK_SHARE of all connections."""

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    b"Connection: close\r\n\r\n"
)


class ConnectionLimiter:
    """Makes a protocol for each connection of the server, by ``make_protocol``, while there is
    room."""

    def __init__(
        self,
        server: web.Server,
        make_protocol: Callable[[], asyncio.Protocol],
        max_connections: int,
        is_trusted: Callable[[str], bool],
    ) -> None:
        self._server = server
        self._make_protocol = make_protocol
        self._max_connections = max_connections
        self._max_per_network = max(1, max_connections // NETWORK_SHARE)
        self._is_trusted = is_trusted

    def __call__(self) -> asyncio.Protocol:
        return _PendingConnection(self)

    def protocol_for(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """Create the protocol of a new connection; None if a limit is reached."""
        connections = cast(list[Any], self._server.connections)
        remote = [other for other in connections if isinstance(other.peername, tuple)]
        peer = transport.get_extra_info("peername")
        if not isinstance(peer, tuple):
            has_place = len(connections) - len(remote) < MAX_LOCAL_CONNECTIONS
            return self._make_protocol() if has_place else None
        if len(remote) >= self._max_connections:
            return None
        if not self._is_exempt(peer[0]):
            network = network_key(peer[0])
            count = sum(network_key(other.peername[0]) == network for other in remote)
            if count >= self._max_per_network:
                return None
        return self._make_protocol()

    def _is_exempt(self, address: str) -> bool:
        """Exempt trusted proxies, which have many clients, and loopback."""
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback or self._is_trusted(
            address
        )


class _PendingConnection(asyncio.Protocol):
    """The protocol of a connection until its address is known."""

    def __init__(self, limiter: ConnectionLimiter) -> None:
        self._limiter = limiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the final protocol, or reject the connection."""
        connection = cast(asyncio.Transport, transport)
        protocol = self._limiter.protocol_for(connection)
        if protocol is None:
            connection.write(TOO_MANY_CONNECTIONS)
            connection.close()
            return
        connection.set_protocol(protocol)
        protocol.connection_made(connection)


async def start_server(
    limiter: ConnectionLimiter, listening: socket.socket, context: ssl.SSLContext | None
) -> asyncio.Server:
    """Start accepting connections on a bound socket."""
    handshake = None if context is None else HANDSHAKE_TIMEOUT_SECONDS
    return await asyncio.get_running_loop().create_server(
        limiter, sock=listening, ssl=context, ssl_handshake_timeout=handshake, backlog=BACKLOG
    )
