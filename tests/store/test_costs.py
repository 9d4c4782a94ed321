"""The cost of operations and pages, in SQLite steps, must not depend on the amount of data."""

import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite

from evalserver.core.lifecycle import Status
from evalserver.store import NEWEST, JobFilter, Store, jobs, listing, pruning
from evalserver.store.migrate import migrate
from evalserver.store.readers import Readers
from evalserver.store.store import DATABASE_NAME
from evalserver.store.transaction import Row, Transaction
from tests.store.test_jobs import completed, start

NOW = "2030-01-01T00:00:00.000+00:00"
FINISHED_JOBS = """
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :jobs)
    INSERT INTO jobs (job_id, status, engine, model, tasks, request, submitted_by, created_at,
                      started_at, completed_at, finish_number, attempt, max_attempts, result)
    SELECT 'job-' || n, 'completed', 'lmms_eval', 'dummy', '["mme"]',
           '{"model": "dummy", "tasks": ["mme"]}', 'alice', :now, :now, :now, n - :jobs, 1, 1, '{}'
    FROM n
"""
VARIOUS_JOBS = """
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :jobs)
    INSERT INTO jobs (job_id, status, engine, model, tasks, labels, request, submitted_by,
                      created_at, max_attempts, completed_at, finish_number, error)
    SELECT 'job-' || n, iif(n % 3, 'queued', 'failed'), 'engine-' || (n % 2), 'model-' || (n % 5),
           '["task-' || (n % 7) || '"]', '{"team": "' || (n % 11) || '"}',
           '{"model": "dummy", "tasks": ["mme"]}', 'somebody-' || (n % 13),
           printf('2030-01-01T%02d:%02d:00.000+00:00', n * 24 / :more, n * 1440 / :more % 60), 1,
           iif(n % 3, NULL, :now), iif(n % 3, NULL, n), iif(n % 3, NULL, 'it failed')
    FROM n
"""
PAGES = {
    "all jobs": JobFilter(),
    "a status": JobFilter(frozenset({Status.FAILED})),
    "a status that none has": JobFilter(frozenset({Status.RUNNING})),
    "two statuses": JobFilter(frozenset({Status.FAILED, Status.QUEUED})),
    "a model": JobFilter(model="model-1"),
    "a model that none has": JobFilter(model="unknown"),
    "a task": JobFilter(task="task-1"),
    "an engine": JobFilter(engine="engine-1"),
    "a label": JobFilter(labels=(("team", "1"),)),
    "a submitter": JobFilter(submitted_by="somebody-1"),
    "the newest": JobFilter(created_after="2030-01-01T23:00:00.000+00:00"),
    "the oldest": JobFilter(created_before="2030-01-01T01:00:00.000+00:00"),
    "a status and a model": JobFilter(frozenset({Status.FAILED}), model="model-1"),
    "a status that none has and a model": JobFilter(frozenset({Status.RUNNING}), model="model-1"),
    "a task and a label": JobFilter(task="task-1", labels=(("team", "1"),)),
}

MAX_STEPS = 25_000
"""Enough to count 1000 jobs per criterion and read one span of submissions and a page. Scanning
every job would take ten times as many."""


class Steps:
    """A progress handler that counts SQLite's steps."""

    def __init__(self) -> None:
        self.taken = 0

    def count(self) -> None:
        """Count one step."""
        self.taken += 1


async def test_pruning_costs_the_same_with_100_and_with_100_000_finished_jobs(
    tmp_path: Path,
) -> None:
    few = await steps_with(tmp_path / "few", 100)

    many = await steps_with(tmp_path / "many", 100_000)

    assert many < 2 * few


async def test_no_page_of_100_000_jobs_scans_many_of_them(tmp_path: Path) -> None:
    steps = await steps_of_pages(tmp_path / "many", 100_000)

    assert {name: count for name, count in steps.items() if count > MAX_STEPS} == {}


async def steps_of_pages(folder: Path, stored: int) -> dict[str, int]:
    """The steps of the first page of each filter, in a database with this many jobs."""
    folder.mkdir()
    migrate(folder / DATABASE_NAME)
    async with aiosqlite.connect(folder / DATABASE_NAME, isolation_level=None) as connection:
        connection.row_factory = Row
        values = {"jobs": stored, "more": stored + 1, "now": NOW}
        await connection.execute_fetchall(VARIOUS_JOBS, values)
        steps = Steps()
        await connection.set_progress_handler(steps.count, 1)
        readers = Readers([connection], connection._conn)
        by_page = {}
        for name, wanted in PAGES.items():
            before = steps.taken
            await listing.page(readers, wanted, 10, NEWEST)
            by_page[name] = steps.taken - before
    return by_page


async def steps_with(folder: Path, stored: int) -> int:
    """The steps in a separate database."""
    folder.mkdir()
    store = await Store.open(folder)
    steps = await _finish_and_prune(store, folder, stored)
    await store.close()
    return steps


async def _finish_and_prune(store: Store, folder: Path, stored: int) -> int:
    """How many steps SQLite takes to finish a job and prune another, with this many stored."""
    running = await start(store)
    database = folder / DATABASE_NAME
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.row_factory = Row
        connection.execute(FINISHED_JOBS, {"jobs": stored, "now": NOW})
        steps = Steps()
        connection.set_progress_handler(steps.count, 1)
        jobs.finish(Transaction(connection, []), running, NOW, completed())
        pruned = pruning.prune(Transaction(connection, []), stored, NOW)
        assert pruned == ["job-1"]
        return steps.taken
