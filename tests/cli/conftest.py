"""What tests of the command line may ask for."""

from collections.abc import AsyncIterator

import pytest

from tests.client.faulty import FaultyServer


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyServer]:
    """A server that answers as it is told."""
    async with FaultyServer() as server:
        yield server
