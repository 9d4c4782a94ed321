"""Searches run one at a time in a bounded queue, so that they cannot exhaust the server."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from aiohttp import ClientSession

from evalserver.store import JobFilter
from evalserver.store.readers import READERS
from evalserver.web.http.one_at_a_time import SerialWork
from evalserver.web.keys import SEARCH_WORK, STORE
from tests.support import Api, until

ENDLESS = """
    ALTER TABLE job_arguments RENAME TO kept_arguments;
    CREATE VIEW job_arguments AS
    WITH RECURSIVE numbers (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers)
    SELECT seq, 'text ' || seq AS text FROM numbers;
"""
FINITE = """
    DROP VIEW job_arguments;
    ALTER TABLE kept_arguments RENAME TO job_arguments;
"""

PATHS = ("/jobs?search=nothing", "/jobs?search=nothing&sort=model", "/ui/jobs?search=nothing")


def search_queue(api: Api) -> SerialWork:
    """Return the queue that runs the application's searches."""
    queue: SerialWork = api._session.app[SEARCH_WORK]
    return queue


async def are_waiting(api: Api, number: int) -> bool:
    """Whether this many searches are waiting for a slot."""
    return search_queue(api)._waiting == number


def run_script(data_dir: Path, script: str) -> None:
    """Change the schema while the server runs."""
    with closing(sqlite3.connect(data_dir / "evalserver.db")) as connection:
        connection.executescript(script)


@asynccontextmanager
async def searches(api: Api, number: int) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Run this many concurrent searches; disconnect at the end."""
    url = str(api._session.make_url("/"))[:-1]
    async with ClientSession() as session:

        async def search(path: str) -> int:
            async with session.get(f"{url}{path}") as response:
                await response.read()
                return response.status

        tasks = [asyncio.create_task(search(PATHS[each % len(PATHS)])) for each in range(number)]
        yield tasks
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_endless_searches_do_not_block_other_requests(api: Api, data_dir: Path) -> None:
    job_id = await api.submit()
    run_script(data_dir, ENDLESS)

    async with searches(api, 12) as tasks:
        await until(lambda: are_waiting(api, 11), 15)
        listed = await api.call("GET", "/jobs")
        await api.call("GET", "/queue")
        await api.call("GET", f"/jobs/{job_id}")

        assert [job["job_id"] for job in listed["jobs"]] == [job_id]
        assert not any(task.done() for task in tasks)


async def test_endless_searches_use_no_reader_of_other_queries(api: Api, data_dir: Path) -> None:
    job_id = await api.submit()
    run_script(data_dir, ENDLESS)
    queries = api._session.app[STORE].queries
    endless = [
        asyncio.create_task(queries.page(JobFilter(search="nothing"), 10)) for _ in range(READERS)
    ]
    await asyncio.sleep(0)  # they take their readers

    async with asyncio.timeout(60):
        page = await queries.page(JobFilter(), 10)

    for each in endless:
        each.cancel()
    await asyncio.wait(endless)
    assert [job.job_id for job in page.jobs] == [job_id]


async def test_a_search_ends_when_its_client_disconnects(api: Api, data_dir: Path) -> None:
    job_id = await api.submit()
    run_script(data_dir, ENDLESS)
    async with searches(api, 3):
        await until(lambda: are_waiting(api, 2), 15)

    run_script(data_dir, FINITE)

    found = await api.call("GET", f"/jobs?search={job_id}")
    assert [job["job_id"] for job in found["jobs"]] == [job_id]


async def test_a_search_ends_at_its_time_limit(api: Api, data_dir: Path) -> None:
    search_queue(api)._max_seconds = 0.2
    run_script(data_dir, ENDLESS)

    problem = await api.call("GET", "/jobs?search=nothing", 503)

    assert "0.2 seconds" in problem["detail"]


async def test_a_search_is_rejected_when_too_many_are_waiting(api: Api, data_dir: Path) -> None:
    search_queue(api)._max_waiting = 1
    run_script(data_dir, ENDLESS)

    async with searches(api, 2):
        await until(lambda: are_waiting(api, 1), 15)
        response = await api._session.get("/jobs?search=nothing")

        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
