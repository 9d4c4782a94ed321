"""Reading a database from outside: at any path, in whatever state it was left."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.store import DATABASE_NAME, DatabaseRefused, Store, describe, snapshot
from evalserver.store.migrate import migrate
from evalserver.store.migration_files import known_migrations
from tests.store.test_jobs import complete, submit
from tests.store.test_migrate import ADDS_A_TABLE, NEXT, change, noon


def events(path: Path) -> int:
    """The number of events in a snapshot of the file."""
    with snapshot(path) as opened:
        return describe(opened).events


def assert_rejected(path: Path, message: str) -> None:
    """Check that the file is rejected with this one-line message."""
    with pytest.raises(DatabaseRefused, match=message) as raised, snapshot(path):
        pass
    assert "\n" not in str(raised.value)


async def test_writes_of_a_running_server_are_visible(store: Store, tmp_path: Path) -> None:
    await submit(store)

    assert events(tmp_path / DATABASE_NAME) == 1


async def test_data_of_a_stopped_server_is_visible(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await submit(store)
    await store.close()
    assert [file.name for file in tmp_path.iterdir()] == [DATABASE_NAME], "no -wal, no -shm"

    assert events(tmp_path / DATABASE_NAME) == 1


async def test_data_of_a_killed_server_is_visible(store: Store, tmp_path: Path) -> None:
    await submit(store)
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal"):
        shutil.copy(tmp_path / name, killed)

    assert events(killed / DATABASE_NAME) == 1


async def test_a_server_can_start_after_its_database_was_read(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await store.close()
    assert events(tmp_path / DATABASE_NAME) == 0

    again = await Store.open(tmp_path)

    await submit(again)
    await again.close()
    assert events(tmp_path / DATABASE_NAME) == 1


async def test_special_characters_in_a_path_are_not_parsed_as_a_uri(tmp_path: Path) -> None:
    folder = tmp_path / "a ?mode=rw#100%"
    folder.mkdir()
    store = await Store.open(folder)
    await complete(store)
    await store.close()

    assert events(folder / DATABASE_NAME) == 3


def test_a_missing_database_is_rejected_and_not_created(tmp_path: Path) -> None:
    assert_rejected(tmp_path / "evalserver.db", f"there is no database at {tmp_path}/evalserver.db")

    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "evalserver.db").touch()

    assert_rejected(tmp_path / "evalserver.db", "is empty: no server ever used it")


def test_a_directory_is_rejected(tmp_path: Path) -> None:
    assert_rejected(tmp_path, f"cannot read the database {tmp_path}: Is a directory")


def test_a_file_that_is_not_a_database_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "evalserver.db").write_text("no database, only text" * 100)

    assert_rejected(tmp_path / "evalserver.db", "cannot read the database .* not a database")


def test_a_database_of_another_application_is_rejected(tmp_path: Path) -> None:
    change(tmp_path / "evalserver.db", "CREATE TABLE recipes (name TEXT)")

    assert_rejected(tmp_path / "evalserver.db", "not an evalserver database")


def test_a_database_of_a_newer_evalserver_is_rejected(tmp_path: Path) -> None:
    known = known_migrations()
    migrate(tmp_path / "evalserver.db", noon, [*known, ADDS_A_TABLE])

    assert_rejected(tmp_path / "evalserver.db", f"schema version {NEXT}, .* up to {len(known)}")


async def test_a_truncated_database_is_rejected(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await complete(store)
    await store.close()
    path = tmp_path / DATABASE_NAME
    path.write_bytes(path.read_bytes()[:9000])

    assert_rejected(path, "cannot read the database")


async def test_an_older_database_can_be_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await complete(store)
    newer = [*known_migrations(), ADDS_A_TABLE]
    for module in ("reading", "info"):
        monkeypatch.setattr(f"evalserver.store.{module}.known_migrations", lambda: newer)

    with snapshot(tmp_path / DATABASE_NAME) as opened:
        found = describe(opened)

    assert (found.schema_version, found.schema_needed, found.events) == (NEXT - 1, NEXT, 3)


async def test_a_snapshot_does_not_block_writers(store: Store, tmp_path: Path) -> None:
    with (
        snapshot(tmp_path / DATABASE_NAME) as opened,
        closing(sqlite3.connect(tmp_path / DATABASE_NAME, timeout=0)) as other,
    ):
        before = describe(opened)

        other.execute("INSERT INTO engine_cache VALUES ('e', 'tasks', '1', '[]', 'now')")
        other.commit()

        assert describe(opened) == before
