"""CPU time that the dashboard costs, independent of the machine's load.

The limits are ten times the documented figures; docs/performance.md has the measurements."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import aiohttp
import psutil
import pytest
from playwright.async_api import expect

from tests.browser import Visit
from tests.event_reader import EventReader
from tests.store.test_costs import NOW, VARIOUS_JOBS
from tests.support import ServerProcess, stand_in_environment, until

STORED = 100_000
HOME_SECONDS = 0.1
VISITS = 10
TABS = 50
SECONDS_PER_ROUND = 0.025
"""CPU seconds for one message to each tab: 5 % of a core at two messages a second."""
ROUNDS = 8
MARGIN = 10
PROGRESS = {"behave": "bars", "total": 100_000, "pause": 0.1}


@pytest.fixture
def large(tmp_path: Path) -> ServerProcess:
    """A server that prunes no jobs."""
    options = ("--cancel-grace", "1", "--max-completed-jobs", str(10 * STORED))
    return ServerProcess(tmp_path / "data", *options, environment=stand_in_environment())


async def test_home_is_quick_with_100_000_jobs(large: ServerProcess) -> None:
    async with large:
        running = await large.api.submit(model_args={"behave": "hang"}, priority=1000)
        await large.api.wait_for_harness(running)
        large.stop()
        seed(large.data_dir / "evalserver.db")
        await large.start()

        before = _cpu_seconds(large)
        for _ in range(VISITS):
            await _visit(f"{large.url}/")
        seconds = (_cpu_seconds(large) - before) / VISITS

    print(f"home with {STORED} jobs: {seconds * 1000:.1f} ms of a core")
    assert seconds < HOME_SECONDS * MARGIN


async def test_fifty_tabs_cost_little_while_a_job_reports_progress(server: ServerProcess) -> None:
    async with server, AsyncExitStack() as streams:
        job_id = await server.api.submit(model_args=PROGRESS)
        await server.api.when(job_id, "running")
        opened = [
            Tab(await streams.enter_async_context(server.api.stream("/events")))
            for _ in range(TABS)
        ]
        before = _cpu_seconds(server)

        async def all_received() -> bool:
            return min(tab.messages for tab in opened) >= ROUNDS

        await until(all_received)
        seconds = (_cpu_seconds(server) - before) / ROUNDS
        for tab in opened:
            tab.task.cancel()
    print(f"a message to each of {TABS} tabs: {seconds * 1000:.1f} ms of a core")
    assert seconds < SECONDS_PER_ROUND * MARGIN


@pytest.mark.browser
async def test_progress_updates_cause_no_requests(server: ServerProcess, visit: Visit) -> None:
    async with server:
        job_id = await server.api.submit(model_args=PROGRESS)
        await server.api.when(job_id, "running")
        await visit.page.goto(server.url)
        count = visit.page.locator(f"#running-{job_id} .count")
        await expect(count).to_contain_text(" of 100000")
        first, requests = await count.inner_text(), len(visit.requests)

        await visit.page.wait_for_function(
            "(first) => document.querySelector('.count').textContent !== first", arg=first
        )

        assert len(visit.requests) == requests


def seed(path: Path) -> None:
    """Insert jobs of all kinds into a database that no server has open."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(VARIOUS_JOBS, {"jobs": STORED, "more": STORED + 1, "now": NOW})


async def _visit(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        await response.read()


def _cpu_seconds(server: ServerProcess) -> float:
    """Return the CPU time of the server so far."""
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


class Tab:
    """Reads the event stream as a browser tab does, and counts progress messages."""

    def __init__(self, reader: EventReader) -> None:
        self.messages = 0
        self.task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: EventReader) -> None:
        while True:
            self.messages += (await reader.next()).kind == "progress"
