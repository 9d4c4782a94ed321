"""Creating, upgrading and rejecting database files."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evalserver.store import DatabaseRefused, Store
from evalserver.store.migrate import APPLICATION_ID, MAX_PATH_BYTES, Upgrade, migrate
from evalserver.store.migration_files import Migration, known_migrations
from evalserver.store.store import DATABASE_NAME

KNOWN = known_migrations()
NEXT = len(KNOWN) + 1
ADDS_A_TABLE = Migration(NEXT, "next.sql", "CREATE TABLE added (a TEXT) STRICT;\n")
FAILS_HALFWAY = Migration(NEXT, "next.sql", ADDS_A_TABLE.sql + "DROP TABLE nowhere;\n")


def noon() -> datetime:
    """A clock that always shows noon."""
    return datetime(2030, 1, 2, 12, tzinfo=UTC)


def rows(folder: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the database of a data directory."""
    return read(folder / DATABASE_NAME, sql, *parameters)


def read(path: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, over a read-only connection."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, parameters).fetchall()


def contents(folder: Path) -> list[list[tuple[Any, ...]]]:
    """All jobs, events and metrics, for comparison."""
    return [rows(folder, f"SELECT * FROM {table}") for table in ("jobs", "job_events", "metrics")]  # noqa: S608


def events_of(folder: Path, job_id: str) -> list[tuple[Any, ...]]:
    """What happened to a job, and who did it, in order."""
    sql = "SELECT event, actor FROM job_events WHERE job_id = ? ORDER BY event_id"
    return rows(folder, sql, job_id)


def change(path: Path, sql: str) -> None:
    """Change a database from outside evalserver."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sql)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a database that does not exist yet."""
    return tmp_path / DATABASE_NAME


@pytest.fixture
def database(path: Path) -> Path:
    """A database of the current version, with some data."""
    migrate(path, noon)
    change(path, "INSERT INTO engine_cache VALUES ('e', 'tasks', '1', '[]', 'now')")
    return path


def assert_rejected_unchanged(path: Path, message: str, steps: list[Migration] = KNOWN) -> None:
    """Check that the file is rejected with this message and its folder is unchanged."""
    before = data(path.parent)
    with pytest.raises(DatabaseRefused, match=message):
        migrate(path, noon, steps)
    assert data(path.parent) == before


def data(folder: Path) -> dict[str, bytes]:
    """The data files in a folder; ``-shm`` is shared memory of connections, not data."""
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix != ".db-shm"]
    return {file.name: content for file in files if (content := file.read_bytes())}


def test_a_new_file_has_our_application_id(path: Path) -> None:
    migrate(path, noon)

    assert read(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_a_new_file_has_the_newest_version(path: Path) -> None:
    version = migrate(path, noon).after

    assert version == len(KNOWN)
    assert read(path, "PRAGMA user_version") == [(len(KNOWN),)]


def test_a_new_file_records_its_migrations(path: Path) -> None:
    migrate(path, noon)

    at = "2030-01-02T12:00:00.000+00:00"
    applied = read(path, "SELECT * FROM schema_migrations ORDER BY version")
    assert applied == [(step.version, step.name, step.checksum, at) for step in KNOWN]


def test_every_table_is_strict(path: Path) -> None:
    migrate(path, noon)

    loose = "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict"
    assert read(path, f"{loose} AND name NOT LIKE 'sqlite_%'") == []


def test_a_new_file_needs_no_backup(path: Path) -> None:
    migrate(path, noon)

    assert list(path.parent.glob("*.backup")) == []


def test_a_current_database_is_unchanged(database: Path) -> None:
    before = data(database.parent)

    migrate(database, noon)

    assert data(database.parent) == before


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()

    assert migrate(path, noon).after == len(KNOWN)


def test_a_database_of_another_application_is_rejected(path: Path) -> None:
    change(path, "CREATE TABLE recipes (name TEXT)")

    assert_rejected_unchanged(path, "not an evalserver database")


def test_a_database_with_another_application_id_is_rejected(database: Path) -> None:
    change(database, "PRAGMA application_id = 7")

    assert_rejected_unchanged(database, "not an evalserver database")


def test_a_database_of_a_newer_evalserver_is_rejected(database: Path) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])

    assert_rejected_unchanged(database, f"version {NEXT}.* up to {len(KNOWN)}")


def test_an_edited_migration_is_rejected(database: Path) -> None:
    edited = [Migration(step.version, step.name, step.sql + "-- edited\n") for step in KNOWN]

    assert_rejected_unchanged(database, KNOWN[0].name, edited)


@pytest.mark.parametrize("number", range(len(KNOWN)), ids=[step.name for step in KNOWN])
def test_each_migration_is_compared_with_the_applied_one(database: Path, number: int) -> None:
    step = KNOWN[number]
    edited = Migration(step.version, step.name, step.sql + "-- edited\n")

    assert_rejected_unchanged(database, step.name, [*KNOWN[:number], edited, *KNOWN[number + 1 :]])


def test_an_edited_migration_is_rejected_before_an_upgrade(database: Path) -> None:
    edited = [Migration(step.version, step.name, step.sql + "-- edited\n") for step in KNOWN]

    assert_rejected_unchanged(database, "never edited", [*edited, ADDS_A_TABLE])


@pytest.mark.parametrize("content", [b"no database, only text" * 100, bytes(4096)])
def test_a_file_that_is_not_a_database_is_rejected(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert_rejected_unchanged(path, "not a database|not an evalserver database")


def test_a_truncated_database_is_rejected(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:5000])

    assert_rejected_unchanged(database, str(database))


async def test_the_store_does_not_open_a_rejected_database(path: Path) -> None:
    path.write_text("no database, only text")

    with pytest.raises(DatabaseRefused, match=str(path)):
        await Store.open(path.parent)


def test_leftovers_of_a_crash_beside_a_rejected_database_are_kept(
    database: Path, tmp_path: Path
) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DELETE FROM engine_cache")
        for file in tmp_path.glob(f"{DATABASE_NAME}*"):
            shutil.copy(file, crashed)

    assert_rejected_unchanged(crashed / DATABASE_NAME, f"version {NEXT}")


def test_an_older_database_is_upgraded(database: Path) -> None:
    version = migrate(database, noon, [*KNOWN, ADDS_A_TABLE]).after

    assert version == NEXT
    assert read(database, "SELECT * FROM added") == []
    assert read(database, "SELECT engine FROM engine_cache") == [("e",)]


def test_an_older_database_is_backed_up_first(database: Path) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])

    [backup] = database.parent.glob("*.backup")
    assert backup.name == f"{DATABASE_NAME}.v{len(KNOWN)}-20300102T120000Z.backup"
    assert read(backup, "SELECT engine FROM engine_cache") == [("e",)]
    assert read(backup, "PRAGMA user_version") == [(len(KNOWN),)]


def test_an_upgrade_reports_what_it_did(database: Path) -> None:
    upgrade = migrate(database, noon, [*KNOWN, ADDS_A_TABLE])

    [backup] = database.parent.glob("*.backup")
    assert upgrade == Upgrade(len(KNOWN), NEXT, backup)


def test_a_backup_can_replace_the_upgraded_database(database: Path) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])
    [backup] = database.parent.glob("*.backup")
    shutil.move(backup, database)

    assert migrate(database, noon).after == len(KNOWN)


def test_a_migration_that_fails_changes_nothing(database: Path) -> None:
    before = database.read_bytes()

    with pytest.raises(DatabaseRefused, match="nowhere"):
        migrate(database, noon, [*KNOWN, FAILS_HALFWAY])

    assert database.read_bytes() == before


def test_a_failed_upgrade_can_be_retried_at_once(database: Path) -> None:
    with pytest.raises(DatabaseRefused, match="nowhere"):
        migrate(database, noon, [*KNOWN, FAILS_HALFWAY])

    assert migrate(database, noon, [*KNOWN, ADDS_A_TABLE]).after == NEXT


def test_a_failed_first_migration_leaves_a_usable_file(path: Path) -> None:
    broken = Migration(1, KNOWN[0].name, KNOWN[0].sql + "DROP TABLE nowhere;\n")
    with pytest.raises(DatabaseRefused, match="nowhere"):
        migrate(path, noon, [broken])

    assert migrate(path, noon).after == len(KNOWN)


def test_a_migrations_last_statement_runs_without_a_semicolon(database: Path) -> None:
    migrate(database, noon, [*KNOWN, Migration(NEXT, "next.sql", "CREATE TABLE added (a TEXT)")])

    assert read(database, "SELECT * FROM added") == []


def test_a_path_too_long_for_sqlite_is_rejected_with_an_explanation(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a" * 100] * 5)
    folder.mkdir(parents=True)

    assert_rejected_unchanged(folder / DATABASE_NAME, "choose a shorter --data-dir")


async def test_a_path_of_maximum_length_works(tmp_path: Path) -> None:
    room = MAX_PATH_BYTES - len(str(tmp_path / "a" / DATABASE_NAME)) - 200
    folder = tmp_path / ("a" * 100) / ("b" * 99) / ("c" * (room - 1))
    folder.mkdir(parents=True)
    path = folder / DATABASE_NAME
    assert MAX_PATH_BYTES - 5 <= len(str(path)) <= MAX_PATH_BYTES

    migrate(path, noon, KNOWN[:-1])
    store = await Store.open(folder)
    await store.close()

    assert len(list(folder.glob("*.backup"))) == 1
