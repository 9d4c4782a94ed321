"""What deeds cost must not depend on how much is stored: counted in SQLite's own steps."""

from pathlib import Path

import aiosqlite

from evalserver.store import Store, jobs
from evalserver.store.store import DATABASE_NAME
from evalserver.store.writer import Row, Transaction
from tests.store.test_jobs import completed, start

NOW = "2030-01-01T00:00:00.000+00:00"
FINISHED_JOBS = """
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :jobs)
    INSERT INTO jobs (job_id, status, engine, model, tasks, request, submitted_by, created_at,
                      started_at, completed_at, finish_number, attempt, max_attempts, result)
    SELECT 'job-' || n, 'completed', 'lmms_eval', 'dummy', '["mme"]',
           '{"model": "dummy", "tasks": ["mme"]}', 'alice', :now, :now, :now, n, 1, 1, '{}'
    FROM n
"""


async def test_pruning_costs_the_same_with_100_and_with_100_000_finished_jobs(
    tmp_path: Path,
) -> None:
    few = await steps_with(tmp_path / "few", 100)

    many = await steps_with(tmp_path / "many", 100_000)

    assert many < 2 * few


async def steps_with(folder: Path, stored: int) -> int:
    """The steps in a database of its own."""
    folder.mkdir()
    store = await Store.open(folder)
    steps = await _finish_and_prune(store, folder, stored)
    await store.close()
    return steps


async def _finish_and_prune(store: Store, folder: Path, stored: int) -> int:
    """How many steps SQLite takes to finish a job and prune another, with so many stored."""
    running = await start(store)
    async with aiosqlite.connect(folder / DATABASE_NAME, isolation_level=None) as connection:
        connection.row_factory = Row
        values = {"jobs": stored, "now": NOW}
        await connection.execute_fetchall(FINISHED_JOBS, values)
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        await connection.set_progress_handler(count, 1)
        await jobs.finish(Transaction(connection), running, NOW, completed())
        pruned = await jobs.prune(Transaction(connection), stored, NOW)
        assert pruned == ["job-1"]
    return steps
