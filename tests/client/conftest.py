"""Fixtures for both clients: a test that uses one of these runs once with each."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from evalserver.client import AsyncEvalClient, EvalClient
from tests.client.both import Client, QuickAsyncEvalClient, QuickEvalClient, close
from tests.client.faulty import FaultyServer

MakeClient = Callable[..., Any]


@pytest.fixture(params=["plain", "async"])
def is_plain(request: pytest.FixtureRequest) -> bool:
    """Whether the test runs with the plain client."""
    return bool(request.param == "plain")


@pytest.fixture
async def make_client(is_plain: bool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeClient]:
    """A factory of clients for a URL."""
    async for make in _make_factory(monkeypatch, EvalClient if is_plain else AsyncEvalClient):
        yield make


@pytest.fixture
async def make_quick_client(
    is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeClient]:
    """A factory of clients that retry without waiting, and record their ``pauses``."""
    kind = QuickEvalClient if is_plain else QuickAsyncEvalClient
    async for make in _make_factory(monkeypatch, kind):
        yield make


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyServer]:
    """A server with scripted responses."""
    async with FaultyServer() as server:
        yield server


async def _make_factory(
    monkeypatch: pytest.MonkeyPatch, kind: type[EvalClient] | type[AsyncEvalClient]
) -> AsyncIterator[MakeClient]:
    monkeypatch.delenv("EVALSERVER_URL", raising=False)
    monkeypatch.delenv("EVALSERVER_TOKEN", raising=False)
    clients: list[Client] = []

    def make(*args: Any, **kwargs: Any) -> Client:
        clients.append(kind(*args, **kwargs))
        return clients[-1]

    yield make
    for client in clients:
        await close(client)
