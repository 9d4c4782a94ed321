"""How requests are sent and time is waited for: all that differs between the two clients.

What calls these is written once, as coroutines. On a ``BlockingTransport`` no coroutine ever
suspends, so that a plain function can drive it to its end.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import httpx
from httpx_sse import EventSource, ServerSentEvent


class Transport(Protocol):
    """How requests are sent, responses are read and time is waited for."""

    @property
    def client(self) -> httpx.Client | httpx.AsyncClient:
        """The httpx client."""

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """Return the response; of a stream, after its headers. Raises httpx's TransportError."""

    async def read(self, response: httpx.Response) -> None:
        """Read a streamed response to its end."""

    def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the content of a streamed response as it arrives."""

    def messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the server-sent events of a streamed response as they arrive."""

    async def end(self, response: httpx.Response) -> None:
        """Close a streamed response."""

    async def close(self) -> None:
        """Close all connections."""


class BlockingTransport:
    """Uses httpx's blocking client in the calling thread."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)  # noqa: ASYNC251 - this transport blocks

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """Return the response."""
        return self.client.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        """Read a streamed response to its end."""
        response.read()

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the content of a streamed response as it arrives."""
        for piece in response.iter_bytes():
            yield piece

    async def messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the server-sent events of a streamed response as they arrive."""
        for message in EventSource(response).iter_sse():
            yield message

    async def end(self, response: httpx.Response) -> None:
        """Close a streamed response."""
        response.close()

    async def close(self) -> None:
        """Close all connections."""
        self.client.close()


class AsyncTransport:
    """Uses httpx's asynchronous client in the running event loop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(seconds)

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """Return the response."""
        return await self.client.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        """Read a streamed response to its end."""
        await response.aread()

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the content of a streamed response as it arrives."""
        async for piece in response.aiter_bytes():
            yield piece

    async def messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        """Yield the server-sent events of a streamed response as they arrive."""
        async with aclosing(EventSource(response).aiter_sse()) as messages:
            async for message in messages:
                yield message

    async def end(self, response: httpx.Response) -> None:
        """Close a streamed response."""
        await response.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
