"""Databases of every schema that ever landed are upgraded to the current one without data loss.

``landed/`` contains a small database, as SQL, for each state of ``migrations/`` on the main branch,
written by the evalserver of that commit (``landed/make_dump.py``).
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.core.lifecycle import Status
from evalserver.store import DATABASE_NAME, Store, check_database, snapshot
from evalserver.store.migrate import migrate
from evalserver.store.migration_files import known_migrations
from tests.store.test_migrate import read

DUMPS = sorted((Path(__file__).parent / "landed").glob("*.sql"))

LANDED = {
    "0001_initial.sql": "1bad47aa4ac1e4256f1bdb9c9773b6fc7bdf2fdd06b23d6de27a2751582e0c75",
    "0002_finding_jobs.sql": "3206d3a16148300323a0377aa5752c587934ca655cf9f92254da5714c6ca628c",
    "0003_durations.sql": "0a6c96166d849c9d9e58c705880779060b16e0ce495541aa10fc98e4886cd7f6",
    "0004_finish_numbers.sql": "5b78e8da7511bd7040da7385d662aa92772a5851dda33a87f14123cedcb9095d",
    "0005_tokens.sql": "c27db89d9a330d180cd61605fb1fa51bbd4cd9e9bdb1b33d012531b2c1b3a7f9",
    "0006_server_events.sql": "0bc4dcc714349bb4fd6880b7d1bbdb651b55854eefa74e6db85c3b906be5af05",
    "0007_sorting_and_searching.sql": (
        "f9ac2f84795289f75533494ba75c041a612ad09cf8f70b630f40e76504531fa9"
    ),
    "0008_audit_archives.sql": "386520c0972c03544c16f0fb6e3a15eddc748c9daf4cc47bed17f886fd4d741f",
    "0009_checked_results_and_history.sql": (
        "ca5e65858147c86594c5046850400195aa5f9db6a888e22e9e3bc78c0ee105bf"
    ),
    "0010_slots.sql": "055f6634a72d52c9cac776a239d8ea86143512b44fe0cf12a793f0b6245b432d",
    "0011_executors.sql": "136731db22bd08443a70917d8d670fe6a86b5e411b5e836f9aaac923051ee7b5",
    "0012_model_titles.sql": "d090ba889ba4b5eb6f4fad930c09e6dacb75db32b8891ee7a18aa65ec1442e12",
    "0013_batches.sql": "d90bb13655bfbda622de7bdb7e8f7a50389f1a1917dbe42da6530bae34b4827f",
    "0014_series.sql": "1cf59c9ca6f21cebb2c2b5008908b72ad5e755f74f266a301f63283165f81705",
    "0015_gate_verdicts.sql": "51672417bff858494822cb31bc5ea0cebff760b07ae5081f5bbe0761444c1781",
    "0016_follower_cursors.sql": "f43eeb93f4c7c02396d2c6721b563a1825c9df13ded6762107b6547c1a2a48c5",
    "0017_newest_first.sql": "70e0f22f9637fc4d37dfef79ed233b5709d1f8ac0319f6c2421f08cb4588f139",
    "0018_webhooks.sql": "2ca8d7238610447d7756fca43be3da821d9483246e7446bd4c6d2d4730f69601",
    "0019_task_settings.sql": "6fce21fadebcd0389fcb05e74a5e2536ecde3ee44266f3416f9682aecb1e89bd",
}
"""SHA-256 of each landed migration. A line is added with its migration and never changed: a
database that was created by a different text is rejected."""

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
JOBS = "SELECT job_id, status, attempt, created_at, started_at, completed_at, error FROM jobs"
EVENTS = "SELECT * FROM job_events ORDER BY event_id"
KEPT = (
    f"{JOBS} ORDER BY seq",
    EVENTS,
    "SELECT job_id, task, metric, filter, value, stderr, n, higher_is_better FROM metrics",
    "SELECT * FROM sqlite_sequence WHERE name IN ('jobs', 'job_events') ORDER BY name",
)


@pytest.fixture(params=DUMPS, ids=[dump.stem for dump in DUMPS])
def landed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database written by an earlier commit."""
    path = tmp_path / DATABASE_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(request.param.read_text())
    return path


def test_no_landed_migration_was_edited() -> None:
    assert {step.name: step.checksum for step in known_migrations()} == LANDED


def test_every_landed_schema_has_its_database() -> None:
    assert len(DUMPS) >= 18


def test_an_upgraded_landed_database_has_the_current_schema(landed: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    migrate(fresh)

    migrate(landed)

    assert read(landed, SCHEMA) == read(fresh, SCHEMA)


def test_an_upgraded_landed_database_keeps_its_rows(landed: Path) -> None:
    before = [read(landed, sql) for sql in KEPT]

    migrate(landed)

    assert [read(landed, sql) for sql in KEPT] == before


def test_an_upgraded_landed_database_is_sound(landed: Path) -> None:
    migrate(landed)

    with snapshot(landed) as opened:
        assert check_database(opened).problem is None


async def test_jobs_of_a_landed_database_continue(landed: Path) -> None:
    store = await Store.open(landed.parent)
    [(first, *_), *_] = await store.queries.queued()
    jobs = [await store.queries.job(job_id) for job_id in await store.queries.all_ids()]
    await store.jobs.claim(await store.queries.job(first), Path("/runs/next"), Path("/out"))
    started = await store.queries.job(first)
    await store.close()

    assert {job.job_id for job in jobs} == {
        "completed", "failed", "cancelled", "running", "queued",
    }  # fmt: skip
    assert started.status is Status.RUNNING
