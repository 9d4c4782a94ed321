"""The door: how many connections there may be at a time, of all and of one address.

What a connection has to send, and in what time, is the business of aiohttp and of the settings that
``server/http_server.py`` gives it.
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
"""Of the socket in the data directory, beside those of the network: who owns the directory must
get in when all other places are taken."""

HANDSHAKE_SECONDS = 10.0
ADDRESS_SHARE = 4
"""One address, or network of IPv6, may have the limit's fourth part."""

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    b"Connection: close\r\n\r\n"
)


class ConnectionLimiter:
    """Makes a protocol for each connection of the server, by ``speak``, while there is room."""

    def __init__(
        self,
        server: web.Server,
        speak: Callable[[], asyncio.Protocol],
        most: int,
        is_trusted: Callable[[str], bool],
    ) -> None:
        self._server = server
        self._speak = speak
        self._most = most
        self._most_of_one = max(1, most // ADDRESS_SHARE)
        self._is_trusted = is_trusted

    def __call__(self) -> asyncio.Protocol:
        return _PendingConnection(self)

    def protocol_for(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """Who is to speak with the other end; None: nobody."""
        every = cast(list[Any], self._server.connections)
        others = [other for other in every if isinstance(other.peername, tuple)]
        peer = transport.get_extra_info("peername")
        if not isinstance(peer, tuple):
            has_place = len(every) - len(others) < MAX_LOCAL_CONNECTIONS
            return self._speak() if has_place else None
        if len(others) >= self._most:
            return None
        if not self._is_exempt(peer[0]):
            network = network_key(peer[0])
            same = sum(network_key(other.peername[0]) == network for other in others)
            if same >= self._most_of_one:
                return None
        return self._speak()

    def _is_exempt(self, address: str) -> bool:
        """Many stand behind a proxy of ours, and who is on the machine has other ways."""
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback or self._is_trusted(
            address
        )


class _PendingConnection(asyncio.Protocol):
    """Steps aside once it has seen who comes."""

    def __init__(self, limiter: ConnectionLimiter) -> None:
        self._doorman = limiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection on, or close it."""
        connection = cast(asyncio.Transport, transport)
        protocol = self._doorman.protocol_for(connection)
        if protocol is None:
            connection.write(TOO_MANY_CONNECTIONS)
            connection.close()
            return
        connection.set_protocol(protocol)
        protocol.connection_made(connection)


async def start_server(
    limiter: ConnectionLimiter, listening: socket.socket, context: ssl.SSLContext | None
) -> asyncio.Server:
    """Let clients in at a socket that was bound before."""
    handshake = None if context is None else HANDSHAKE_SECONDS
    return await asyncio.get_running_loop().create_server(
        limiter, sock=listening, ssl=context, ssl_handshake_timeout=handshake, backlog=BACKLOG
    )
