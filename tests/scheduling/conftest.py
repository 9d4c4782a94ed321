"""Fixtures of the tests of scheduling."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evalserver.store import Store
from tests.scheduling.lab import NOON, Lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab that has run nothing; its clock stands at noon."""
    store = await Store.open(tmp_path, lambda: NOON)
    lab = Lab(store, tmp_path / "runs")
    await lab.scheduler.load()
    yield lab
    await store.close()
