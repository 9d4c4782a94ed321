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
    """Sending, receiving, waiting."""

    @property
    def client(self) -> httpx.Client | httpx.AsyncClient:
        """What sends."""

    def now(self) -> float:
        """Seconds on a clock that is never set."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """The answer; of a stream, its headers. Raises httpx's TransportError."""

    async def read(self, response: httpx.Response) -> None:
        """Read what a streamed answer holds."""

    def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """What a streamed answer holds, as it comes."""

    def messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        """The server-sent events that a streamed answer holds, as they come."""

    async def end(self, response: httpx.Response) -> None:
        """Close a streamed answer."""

    async def close(self) -> None:
        """Close all connections."""


class BlockingTransport:
    """Over httpx's plain client, in the thread that calls."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def now(self) -> float:
        """Seconds on a clock that is never set."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - blocking is what this wire does

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """The answer."""
        return self.client.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        """Read what a streamed answer holds."""
        response.read()

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """What a streamed answer holds, as it comes."""
        for piece in response.iter_bytes():
            yield piece

    async def messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        """The server-sent events that a streamed answer holds, as they come."""
        for message in EventSource(response).iter_sse():
            yield message

    async def end(self, response: httpx.Response) -> None:
        """Close a streamed answer."""
        response.close()

    async def close(self) -> None:
        """Close all connections."""
        self.client.close()


class AsyncTransport:
    """Over httpx's asynchronous client, in the event loop that runs."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    def now(self) -> float:
        """Seconds on a clock that is never set."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """The answer."""
        return await self.client.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        """Read what a streamed answer holds."""
        await response.aread()

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """What a streamed answer holds, as it comes."""
        async for piece in response.aiter_bytes():
            yield piece

    async def messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        """The server-sent events that a streamed answer holds, as they come."""
        async with aclosing(EventSource(response).aiter_sse()) as messages:
            async for message in messages:
                yield message

    async def end(self, response: httpx.Response) -> None:
        """Close a streamed answer."""
        await response.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
