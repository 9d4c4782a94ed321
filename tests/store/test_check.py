"""Checking a database: pages, references, schema, log."""

from pathlib import Path

import pytest

from evalserver.store import DATABASE_NAME, Store, Verdict, check_database, snapshot
from evalserver.store.migrate import migrate
from evalserver.store.migration_files import known_migrations
from tests.store.test_audit_log import tamper
from tests.store.test_jobs import ACCURACY, PLENTY, complete, completed, start, submit
from tests.store.test_migrate import change, rows

GUARD = "job_events_no_update"


def check(path: Path) -> Verdict:
    """The verdict on a database file."""
    with snapshot(path) as opened:
        return check_database(opened)


def problem(folder: Path) -> str:
    """The problem of a data directory's database; there must be one."""
    found = check(folder / DATABASE_NAME).problem
    assert found is not None
    return found.message


def tamper_covertly(folder: Path, sql: str) -> None:
    """Change the log, and restore the triggers that should have prevented it."""
    guards = rows(folder, "SELECT sql FROM sqlite_schema WHERE name LIKE 'job_events_no_%'")
    tamper(folder, sql)
    for (guard,) in guards:
        change(folder / DATABASE_NAME, guard.replace("TRIGGER", "TRIGGER IF NOT EXISTS", 1))


async def test_a_database_in_use_is_sound(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    verdict = check(tmp_path / DATABASE_NAME)

    assert (verdict.events, verdict.jobs, verdict.problem) == (3, 1, None)


async def test_a_damaged_page_is_detected(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await complete(store)
    await store.close()
    [(page,)] = rows(tmp_path, "SELECT rootpage FROM sqlite_schema WHERE name = 'job_events_job'")
    [(size,)] = rows(tmp_path, "PRAGMA page_size")
    with (tmp_path / DATABASE_NAME).open("r+b") as file:
        file.seek((page - 1) * size + size - 20)
        file.write(b"\xff" * 20)

    assert problem(tmp_path).startswith("the file is damaged: ")


async def test_an_index_that_differs_from_its_table_is_detected(
    store: Store, tmp_path: Path
) -> None:
    await complete(store)
    change(
        tmp_path / DATABASE_NAME,
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage ="
        " (SELECT rootpage FROM sqlite_schema WHERE name = 'jobs_status')"
        " WHERE name = 'metrics_task'",
    )

    assert problem(tmp_path).startswith("the file is damaged: ")


async def test_a_row_with_a_missing_parent_is_detected(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    change(tmp_path / DATABASE_NAME, "PRAGMA foreign_keys = OFF; DELETE FROM jobs;")

    assert problem(tmp_path) == "a row of job_tasks belongs to a row of jobs that is not there"


async def test_metrics_of_a_job_that_is_not_there_are_detected(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    change(tmp_path / DATABASE_NAME, "PRAGMA foreign_keys = ON; DELETE FROM jobs;")

    assert problem(tmp_path) == f"metrics has rows of job {job_id}, which is not there"


async def test_usage_of_a_job_that_is_not_there_is_detected(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    await store.jobs.interrupt(job_id, "lost")

    change(tmp_path / DATABASE_NAME, "PRAGMA foreign_keys = ON; DELETE FROM jobs;")

    assert problem(tmp_path) == f"gpu_usage has rows of job {job_id}, which is not there"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"DROP TRIGGER {GUARD}", f"the trigger {GUARD} was taken away"),
        (f"DROP TRIGGER {GUARD}; CREATE TRIGGER {GUARD} BEFORE UPDATE ON job_events"
         " WHEN 0 BEGIN SELECT 1; END", f"the trigger {GUARD} is not as evalserver made it"),
        ("DROP INDEX jobs_status", "the index jobs_status was taken away"),
        ("DROP VIEW leaderboard", "the view leaderboard was taken away"),
    ],
)  # fmt: skip
async def test_a_changed_schema_is_detected(
    store: Store, tmp_path: Path, sql: str, message: str
) -> None:
    change(tmp_path / DATABASE_NAME, sql)

    assert problem(tmp_path) == message


async def test_an_additional_index_is_not_a_problem(store: Store, tmp_path: Path) -> None:
    change(tmp_path / DATABASE_NAME, "CREATE INDEX ours ON jobs (model)")

    assert check(tmp_path / DATABASE_NAME).problem is None


async def test_a_wrong_job_count_is_detected(store: Store, tmp_path: Path) -> None:
    await complete(store)

    change(tmp_path / DATABASE_NAME, "UPDATE job_counts SET jobs = 7 WHERE status = 'completed'")

    assert problem(tmp_path) == "job_counts says 7 completed, and jobs has 1"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DELETE FROM job_tasks", "job_tasks lacks what jobs has, for the job of seq 1"),
        ("INSERT INTO job_tasks VALUES ('x', 1)",
         "job_tasks has what jobs does not have, for the job of seq 1"),
        ("UPDATE job_labels SET text = 'b'",
         "job_labels has what jobs does not have, for the job of seq 1"),
        ("DELETE FROM job_spans", "job_spans does not have the time of the job of seq 1"),
        ("UPDATE job_spans SET latest = '2001'",
         "job_spans does not have the time of the job of seq 1"),
    ],
)  # fmt: skip
async def test_an_unlisted_job_is_detected(
    store: Store, tmp_path: Path, sql: str, message: str
) -> None:
    await submit(store, labels={"team": "a"})

    change(tmp_path / DATABASE_NAME, sql)

    assert problem(tmp_path) == message


def test_a_database_of_the_first_version_is_sound(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME, migrations=known_migrations()[:1])

    assert check(tmp_path / DATABASE_NAME).problem is None


async def test_a_broken_hash_chain_is_detected(store: Store, tmp_path: Path) -> None:
    await complete(store)

    tamper_covertly(tmp_path, "UPDATE job_events SET actor = 'eve' WHERE event_id = 2")

    assert problem(tmp_path).startswith("event 2 (claimed, ")
