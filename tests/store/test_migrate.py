"""Creating, upgrading and refusing database files."""

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
    """A clock that stands still."""
    return datetime(2030, 1, 2, 12, tzinfo=UTC)


def rows(folder: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What an auditor reads in the database of a data directory."""
    return read(folder / DATABASE_NAME, sql, *parameters)


def read(path: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, by a connection that only reads."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, parameters).fetchall()


def contents(folder: Path) -> list[list[tuple[Any, ...]]]:
    """All jobs, events and metrics, to compare."""
    return [rows(folder, f"SELECT * FROM {table}") for table in ("jobs", "job_events", "metrics")]  # noqa: S608


def events_of(folder: Path, job_id: str) -> list[tuple[Any, ...]]:
    """What happened to a job, and who did it, in order."""
    sql = "SELECT event, actor FROM job_events WHERE job_id = ? ORDER BY event_id"
    return rows(folder, sql, job_id)


def change(path: Path, sql: str) -> None:
    """Change a database as somebody does who is not evalserver."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sql)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / DATABASE_NAME


@pytest.fixture
def database(path: Path) -> Path:
    """A database of the present version, with something in it."""
    migrate(path, noon)
    change(path, "INSERT INTO engine_cache VALUES ('e', 'tasks', '1', '[]', 'now')")
    return path


def assert_refused_unharmed(path: Path, message: str, steps: list[Migration] = KNOWN) -> None:
    """The file must be refused with these words, and nothing in its folder be changed."""
    before = data(path.parent)
    with pytest.raises(DatabaseRefused, match=message):
        migrate(path, noon, steps)
    assert data(path.parent) == before


def data(folder: Path) -> dict[str, bytes]:
    """All that is kept in a folder; ``-shm`` is memory that connections share, and no data."""
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix != ".db-shm"]
    return {file.name: content for file in files if (content := file.read_bytes())}


def test_a_new_file_says_that_it_is_ours(path: Path) -> None:
    migrate(path, noon)

    assert read(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_a_new_file_has_the_newest_version(path: Path) -> None:
    version = migrate(path, noon).after

    assert version == len(KNOWN)
    assert read(path, "PRAGMA user_version") == [(len(KNOWN),)]


def test_a_new_file_remembers_its_migrations(path: Path) -> None:
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


def test_a_present_database_is_left_as_it_is(database: Path) -> None:
    before = data(database.parent)

    migrate(database, noon)

    assert data(database.parent) == before


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()

    assert migrate(path, noon).after == len(KNOWN)


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    change(path, "CREATE TABLE recipes (name TEXT)")

    assert_refused_unharmed(path, "not an evalserver database")


def test_a_database_with_another_application_id_is_refused(database: Path) -> None:
    change(database, "PRAGMA application_id = 7")

    assert_refused_unharmed(database, "not an evalserver database")


def test_a_database_of_a_newer_evalserver_is_refused(database: Path) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])

    assert_refused_unharmed(database, f"version {NEXT}.* up to {len(KNOWN)}")


def test_a_migration_that_was_edited_is_refused(database: Path) -> None:
    edited = [Migration(step.version, step.name, step.sql + "-- edited\n") for step in KNOWN]

    assert_refused_unharmed(database, KNOWN[0].name, edited)


@pytest.mark.parametrize("number", range(len(KNOWN)), ids=[step.name for step in KNOWN])
def test_each_migration_is_held_against_the_one_that_was_applied(
    database: Path, number: int
) -> None:
    step = KNOWN[number]
    edited = Migration(step.version, step.name, step.sql + "-- edited\n")

    assert_refused_unharmed(database, step.name, [*KNOWN[:number], edited, *KNOWN[number + 1 :]])


def test_an_edited_migration_is_refused_before_an_upgrade(database: Path) -> None:
    edited = [Migration(step.version, step.name, step.sql + "-- edited\n") for step in KNOWN]

    assert_refused_unharmed(database, "never edited", [*edited, ADDS_A_TABLE])


@pytest.mark.parametrize("content", [b"no database, only text" * 100, bytes(4096)])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert_refused_unharmed(path, "not a database|not an evalserver database")


def test_a_truncated_database_is_refused(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:5000])

    assert_refused_unharmed(database, str(database))


async def test_the_store_does_not_open_what_is_refused(path: Path) -> None:
    path.write_text("no database, only text")

    with pytest.raises(DatabaseRefused, match=str(path)):
        await Store.open(path.parent)


def test_what_a_crash_left_beside_a_refused_database_is_left_too(
    database: Path, tmp_path: Path
) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DELETE FROM engine_cache")
        for file in tmp_path.glob(f"{DATABASE_NAME}*"):
            shutil.copy(file, crashed)

    assert_refused_unharmed(crashed / DATABASE_NAME, f"version {NEXT}")


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


def test_an_upgrade_says_what_it_did(database: Path) -> None:
    upgrade = migrate(database, noon, [*KNOWN, ADDS_A_TABLE])

    [backup] = database.parent.glob("*.backup")
    assert upgrade == Upgrade(len(KNOWN), NEXT, backup)


def test_a_backup_can_take_the_place_of_the_upgraded_database(database: Path) -> None:
    migrate(database, noon, [*KNOWN, ADDS_A_TABLE])
    [backup] = database.parent.glob("*.backup")
    shutil.move(backup, database)

    assert migrate(database, noon).after == len(KNOWN)


def test_a_migration_that_fails_changes_nothing(database: Path) -> None:
    before = database.read_bytes()

    with pytest.raises(DatabaseRefused, match="nowhere"):
        migrate(database, noon, [*KNOWN, FAILS_HALFWAY])

    assert database.read_bytes() == before


def test_a_failed_upgrade_can_be_tried_again_at_once(database: Path) -> None:
    with pytest.raises(DatabaseRefused, match="nowhere"):
        migrate(database, noon, [*KNOWN, FAILS_HALFWAY])

    assert migrate(database, noon, [*KNOWN, ADDS_A_TABLE]).after == NEXT


def test_a_first_migration_that_fails_leaves_a_file_that_can_still_be_made(path: Path) -> None:
    broken = Migration(1, KNOWN[0].name, KNOWN[0].sql + "DROP TABLE nowhere;\n")
    with pytest.raises(DatabaseRefused, match="nowhere"):
        migrate(path, noon, [broken])

    assert migrate(path, noon).after == len(KNOWN)


def test_the_last_statement_of_a_migration_counts_also_without_a_semicolon(database: Path) -> None:
    migrate(database, noon, [*KNOWN, Migration(NEXT, "next.sql", "CREATE TABLE added (a TEXT)")])

    assert read(database, "SELECT * FROM added") == []


def test_a_path_that_is_too_long_for_sqlite_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a" * 100] * 5)
    folder.mkdir(parents=True)

    assert_refused_unharmed(folder / DATABASE_NAME, "choose a shorter --data-dir")


async def test_the_longest_path_that_is_taken_works(tmp_path: Path) -> None:
    room = MAX_PATH_BYTES - len(str(tmp_path / "a" / DATABASE_NAME)) - 200
    folder = tmp_path / ("a" * 100) / ("b" * 99) / ("c" * (room - 1))
    folder.mkdir(parents=True)
    path = folder / DATABASE_NAME
    assert MAX_PATH_BYTES - 5 <= len(str(path)) <= MAX_PATH_BYTES

    migrate(path, noon, KNOWN[:-1])
    store = await Store.open(folder)
    await store.close()

    assert len(list(folder.glob("*.backup"))) == 1
