"""A server with scripted responses, for faults that the real server cannot be made to have."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import MultiMapping

from tests.support import free_port


@dataclass(frozen=True)
class Reply:
    """A response: a status, headers, and either JSON or a text."""

    json: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    content_type: str = "text/plain"
    after_s: float = 0.0

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send the response after the delay."""
        await asyncio.sleep(self.after_s)
        if self.text is not None:
            return web.Response(
                text=self.text,
                status=self.status,
                headers=self.headers,
                content_type=self.content_type,
            )
        return web.json_response(self.json, status=self.status, headers=self.headers)


@dataclass(frozen=True)
class Disconnect:
    """Closes the connection, optionally after the first bytes of a response."""

    first_bytes: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send the first bytes, and close the connection."""
        await request.read()
        response = web.StreamResponse(headers=self.headers)
        if self.first_bytes or self.headers:
            await response.prepare(request)
            await response.write(self.first_bytes)
        assert request.transport is not None
        request.transport.close()
        return response


def problem(status: int, detail: str, **members: Any) -> Reply:
    """Return an error response in the format of this project's server."""
    headers = members.pop("headers", {})
    return Reply({"status": status, "detail": detail, **members}, status, headers)


def busy(status: int = 503, **headers: str) -> Reply:
    """Return a temporary error response."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return problem(status, "Nothing can be written right now", headers=named)


@dataclass
class ReceivedRequest:
    """A request that the server received."""

    method: str
    path: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def labels(self) -> list[str]:
        """All values of the query parameter ``label``."""
        return self.query.getall("label")


class FaultyServer:
    """Sends the replies set for a path one after another, then repeats the last one."""

    def __init__(self) -> None:
        self.received: list[ReceivedRequest] = []
        self._replies: dict[str, list[Reply | Disconnect]] = {}
        self._port = free_port()
        self._server: TestServer | None = None

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self._port}"

    def set_replies(self, path: str, *replies: Reply | Disconnect) -> None:
        """Set the replies for a path."""
        self._replies[path] = list(replies)

    def requests_to(self, path: str) -> list[ReceivedRequest]:
        """Return the requests received for a path."""
        return [each for each in self.received if each.path == path]

    def json(self, path: str) -> Any:
        """Return the JSON body of the only request for a path."""
        [request] = self.requests_to(path)
        return json.loads(request.body)

    async def start(self) -> None:
        """Start accepting connections."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, port=self._port)
        await self._server.start_server()

    async def stop(self) -> None:
        """Stop accepting connections."""
        assert self._server is not None
        await self._server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.received.append(
            ReceivedRequest(request.method, request.path, request.query, request.headers, body)
        )
        replies = self._replies.get(request.rel_url.raw_path)
        if replies is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return await reply.send(request)


@asynccontextmanager
async def unresponsive_port() -> AsyncIterator[str]:
    """Open a port that accepts connections and never sends anything; yield its URL."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep_silent, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
