"""Shared fixtures of the page tests: a server with jobs in every state, and a browser page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser import Visit, open_browser
from tests.support import Api, ServerProcess
from tests.web.pages.jobs import scored


@dataclass(frozen=True)
class Lab:
    """A running server and its jobs."""

    server: ServerProcess
    gate: Path
    """The running job continues once this file exists."""
    completed: tuple[str, str]
    failed: str
    running: str
    queued: tuple[str, str]

    @property
    def api(self) -> Api:
        """The server's HTTP interface."""
        return self.server.api

    @property
    def url(self) -> str:
        """The server's URL."""
        return self.server.url


@pytest.fixture
async def lab(server: ServerProcess, tmp_path: Path) -> AsyncIterator[Lab]:
    """A server with a job in every state; the running job waits at 50 %."""
    async with server:
        api, gate = server.api, tmp_path / "gate"
        first = await scored(api, 1, 0, 1, 0, labels={"series": "run-1", "step": "100"})
        second = await scored(api, 1, 1, 1, 0, labels={"series": "run-1", "step": "200"})
        failed = await api.submit_unchecked(model="broken", model_args={"behave": "crash"})
        await api.finished(failed)
        running = await api.submit_unchecked(
            model="watched", model_args={"behave": "bars", "gate": str(gate)}
        )
        await api.when(running, "running")
        queued = (
            await api.submit_unchecked(model="early"),
            await api.submit_unchecked(model="late"),
        )
        yield Lab(server, gate, (first, second), failed, running, queued)
        gate.touch()


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """A browser with an empty page."""
    async with open_browser() as visit:
        yield visit
