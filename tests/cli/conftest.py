"""Fixtures for the command line tests."""

from collections.abc import AsyncIterator

import pytest

from tests.client.faulty import FaultyServer


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyServer]:
    """A server with scripted responses."""
    async with FaultyServer() as server:
        yield server
