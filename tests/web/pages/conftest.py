"""What the tests of pages share: a server with jobs in every state, and a visitor."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser import Visit, browsing
from tests.support import Api, ServerProcess
from tests.web.pages.jobs import scored


@dataclass(frozen=True)
class Lab:
    """A server that works, and its jobs."""

    server: ServerProcess
    gate: Path
    """The running job goes on when it is there."""
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
        """Where the server answers."""
        return self.server.url


@pytest.fixture
async def lab(server: ServerProcess, tmp_path: Path) -> AsyncIterator[Lab]:
    """A server with a job in every state; the running one waits half way."""
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
    """A visitor with an empty page."""
    async with browsing() as visit:
        yield visit
