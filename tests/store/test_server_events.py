"""Server operations: draining and resuming, in their own log."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.store import DATABASE_NAME, IllegalTransition, Store
from tests.store.test_jobs import submit
from tests.store.test_migrate import rows


async def claim(store: Store, job_id: str) -> None:
    """Begin the job's first attempt."""
    await store.jobs.claim(await store.queries.job(job_id), Path("run"), Path("out"))


async def test_no_job_can_be_claimed_while_draining(store: Store) -> None:
    job_id = await submit(store)
    await store.server.drain("alice", "new driver")

    with pytest.raises(IllegalTransition, match="draining"):
        await claim(store, job_id)

    await store.server.resume("bob")
    await claim(store, job_id)
    assert (await store.queries.job(job_id)).status == "running"


async def test_draining_records_who_when_and_why(store: Store) -> None:
    assert await store.server.draining() is None
    drained = await store.server.drain("alice", "new driver")

    assert await store.server.draining() == drained
    assert (drained.by, drained.reason) == ("alice", "new driver")


@pytest.mark.parametrize(("reason", "events"), [(None, 1), ("one", 1), ("two", 2)])
async def test_repeated_draining_is_an_event_only_with_a_new_reason(
    store: Store, tmp_path: Path, reason: str | None, events: int
) -> None:
    await store.server.drain("alice", "one")

    again = await store.server.drain("bob", reason)

    assert again.reason == (reason or "one")
    assert len(rows(tmp_path, "SELECT * FROM server_events")) == events


async def test_resuming_without_draining_is_not_an_event(store: Store, tmp_path: Path) -> None:
    assert await store.server.resume("alice") is False
    assert rows(tmp_path, "SELECT * FROM server_events") == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE server_events SET actor = 'mallory'",
        "DELETE FROM server_events",
        "INSERT OR REPLACE INTO server_events (event_id, at, actor, event)"
        " VALUES (1, 'now', 'mallory', 'resumed')",
    ],
)
async def test_the_server_log_is_append_only(store: Store, tmp_path: Path, statement: str) -> None:
    await store.server.drain("alice", None)

    with (
        closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)
