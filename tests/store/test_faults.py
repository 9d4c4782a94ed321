"""A temporarily unwritable database: nothing is lost, and work resumes by itself."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evalserver.store import Store, StoreUnavailable
from evalserver.store.store import DATABASE_NAME
from tests.small_disk import no_room_beyond
from tests.store.test_jobs import submit
from tests.support import until

FULL = 2
"""The value of SQLite's setting with which each commit waits until it is on disk."""


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("attempt to write a readonly database"),
        sqlite3.DatabaseError("disk I/O error"),
    ],
    ids=str,
)
async def test_the_store_reports_a_fault_and_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: sqlite3.Error
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(store._writer, "_connection", _FailsToCommit(store._connection, error))
        with pytest.raises(StoreUnavailable, match=str(error)):
            await submit(store)
        assert store.fault == f"the database cannot be written: {error}"

    await until(lambda: _is_healthy(store))
    assert await store.queries.queued() == []
    assert await submit(store)


async def test_a_foreign_lock_on_the_database_only_delays_writes(
    store: Store, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as other_client:
        other_client.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await submit(store)
        other_client.execute("ROLLBACK")

    await until(lambda: _is_healthy(store))
    job_id = await submit(store)
    assert [each for each, *_ in await store.queries.queued()] == [job_id]


async def test_acknowledged_writes_survive_a_power_cut(store: Store) -> None:
    [(synchronous,)] = await store._writer.run(lambda tx: tx.execute("PRAGMA synchronous"))

    assert synchronous == FULL


async def test_the_store_stays_faulty_until_a_write_succeeds(store: Store, tmp_path: Path) -> None:
    tried: list[str] = []

    async def was_retried() -> bool:
        # The second one starts once the first has ended.
        return tried.count("BEGIN IMMEDIATE") > 2 or await _is_healthy(store)

    with no_room_beyond(tmp_path / f"{DATABASE_NAME}-wal"):
        with pytest.raises(StoreUnavailable):
            await submit(store)
        store._connection.set_trace_callback(tried.append)
        await until(was_retried)

        assert not await _is_healthy(store)


async def test_a_wal_removed_during_a_commit_loses_no_acknowledged_job(
    store: Store, tmp_path: Path
) -> None:
    job_id = await submit(store)

    def remove_at_commit(statement: str) -> None:
        if statement == "COMMIT":
            (tmp_path / f"{DATABASE_NAME}-wal").unlink(missing_ok=True)

    store._connection.set_trace_callback(remove_at_commit)
    with pytest.raises(StoreUnavailable, match="was removed"):
        await submit(store)

    assert job_id in _jobs_of_a_copy(tmp_path), "as after a kill: without the log that was removed"


def _jobs_of_a_copy(data_dir: Path) -> list[str]:
    copy = data_dir / "copy.db"
    copy.write_bytes((data_dir / DATABASE_NAME).read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        return [job_id for (job_id,) in connection.execute("SELECT job_id FROM jobs")]


class _FailsToCommit:
    """A connection on which every COMMIT fails."""

    def __init__(self, connection: sqlite3.Connection, error: sqlite3.Error) -> None:
        self._connection = connection
        self._error = error

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise self._error
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def _is_healthy(store: Store) -> bool:
    return store.fault is None
