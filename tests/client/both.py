"""Both clients, used in one way: a call is given by its name, whichever client it is."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from evalserver.client import AsyncEvalClient, EvalClient
from evalserver.client.transports import AsyncTransport, BlockingTransport

Client = EvalClient | AsyncEvalClient

END = object()


async def call(client: Client, name: str, *args: Any, **kwargs: Any) -> Any:
    """What a method returns; the plain client's runs in a thread."""
    method = getattr(client, name)
    if isinstance(client, EvalClient):
        return await asyncio.to_thread(method, *args, **kwargs)
    return await method(*args, **kwargs)


async def rows(client: Client, name: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    """What a method yields."""
    yielded = getattr(client, name)(*args, **kwargs)
    if isinstance(client, AsyncEvalClient):
        async for row in yielded:
            yield row
        return
    while (row := await asyncio.to_thread(next, yielded, END)) is not END:
        yield row


async def collect(client: Client, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    """All that a method yields."""
    return [row async for row in rows(client, name, *args, **kwargs)]


async def close(client: Client) -> None:
    """Close its connections."""
    await call(client, "close")


class Quick:
    """A clock that a pause sets forward, so that nobody has to wait for it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pauses: list[float] = []

    def now(self) -> float:
        """The time, with what was paused."""
        return time.monotonic() + sum(self.pauses)

    async def sleep(self, seconds: float) -> None:
        """Take note of it."""
        self.pauses.append(seconds)


class QuickWire(Quick, BlockingTransport):
    """The plain client's wire, without its pauses."""


class QuickAsyncWire(Quick, AsyncTransport):
    """The asynchronous client's wire, without its pauses."""


class QuickEvalClient(EvalClient):
    """The plain client, which does not wait before it tries again."""

    _transport: ClassVar[type[BlockingTransport]] = QuickWire

    @property
    def pauses(self) -> list[float]:
        """The seconds that it would have waited."""
        transport = self._calls._sender.transport
        assert isinstance(transport, QuickWire)
        return transport.pauses


class QuickAsyncEvalClient(AsyncEvalClient):
    """The asynchronous client, which does not wait before it tries again."""

    _transport: ClassVar[type[AsyncTransport]] = QuickAsyncWire

    @property
    def pauses(self) -> list[float]:
        """The seconds that it would have waited."""
        transport = self._sender.transport
        assert isinstance(transport, QuickAsyncWire)
        return transport.pauses
