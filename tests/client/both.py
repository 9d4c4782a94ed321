"""A common interface for tests of both clients: methods are called by name."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from evalserver.client import AsyncEvalClient, EvalClient
from evalserver.client.transports import AsyncTransport, BlockingTransport

Client = EvalClient | AsyncEvalClient

END = object()


async def call(client: Client, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method, and return its result; a method of the plain client runs in a thread."""
    method = getattr(client, name)
    if isinstance(client, EvalClient):
        return await asyncio.to_thread(method, *args, **kwargs)
    return await method(*args, **kwargs)


async def rows(client: Client, name: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    """Yield what a method yields."""
    yielded = getattr(client, name)(*args, **kwargs)
    if isinstance(client, AsyncEvalClient):
        async for row in yielded:
            yield row
        return
    while (row := await asyncio.to_thread(next, yielded, END)) is not END:
        yield row


async def collect(client: Client, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    """Return a list of everything that a method yields."""
    return [row async for row in rows(client, name, *args, **kwargs)]


async def close(client: Client) -> None:
    """Close the client's connections."""
    await call(client, "close")


class InstantClock:
    """Replaces sleeping by advancing a clock, so that retries take no time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pauses: list[float] = []

    def now(self) -> float:
        """Return the current time, including the skipped pauses."""
        return time.monotonic() + sum(self.pauses)

    async def sleep(self, seconds: float) -> None:
        """Record the pause without sleeping."""
        self.pauses.append(seconds)


class QuickTransport(InstantClock, BlockingTransport):
    """The plain client's transport, without pauses."""


class QuickAsyncTransport(InstantClock, AsyncTransport):
    """The asynchronous client's transport, without pauses."""


class QuickEvalClient(EvalClient):
    """The plain client, retrying without waiting."""

    _transport: ClassVar[type[BlockingTransport]] = QuickTransport

    @property
    def pauses(self) -> list[float]:
        """The pauses that were skipped, in seconds."""
        transport = self._calls._sender.transport
        assert isinstance(transport, QuickTransport)
        return transport.pauses


class QuickAsyncEvalClient(AsyncEvalClient):
    """The asynchronous client, retrying without waiting."""

    _transport: ClassVar[type[AsyncTransport]] = QuickAsyncTransport

    @property
    def pauses(self) -> list[float]:
        """The pauses that were skipped, in seconds."""
        transport = self._sender.transport
        assert isinstance(transport, QuickAsyncTransport)
        return transport.pauses
