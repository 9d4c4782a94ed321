"""Fixtures of the tests of the runner."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.runner.runs import Run


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """A run directory; processes that a test leaves running in it are killed."""
    run = Run(tmp_path)
    yield run
    await run.clean_up()
