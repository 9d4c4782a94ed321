"""Replaying the log: a forger who recomputes every hash must still produce a valid history."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.core.lifecycle import TRANSITIONS, EventKind, Status, Transition
from evalserver.store import DATABASE_NAME, Store
from evalserver.store.events import GENESIS_HASH, HASHED_COLUMNS, event_hash
from evalserver.store.replay import Replay
from tests.store.test_audit_log import tamper
from tests.store.test_jobs import complete, submit
from tests.store.test_migrate import change, read, rows
from tests.store.test_verify import problem, verify, write_log


def forge(folder: Path, sql: str) -> None:
    """Change the log, and recompute the hashes."""
    tamper(folder, sql)
    last = GENESIS_HASH
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM job_events ORDER BY event_id").fetchall():
            values = {**{name: row[name] for name in HASHED_COLUMNS}, "prev_hash": last}
            last = event_hash(values)
            update = "UPDATE job_events SET prev_hash = ?, hash = ? WHERE event_id = ?"
            connection.execute(update, (values["prev_hash"], last, row["event_id"]))
        connection.commit()


@pytest.mark.parametrize(
    ("sql", "event_id", "message"),
    [
        ("UPDATE job_events SET event = 'blessed' WHERE event_id = 2", 2, "'blessed' is no kind"),
        ("UPDATE job_events SET event = 'failed' WHERE event_id = 2", 2,
         "where the log leads from queued to failed"),
        ("UPDATE job_events SET event = 'submitted' WHERE event_id = 3", 3,
         "a job that is running cannot be submitted"),
        ("UPDATE job_events SET job_id = 'ghost' WHERE event_id = 2", 2, "there is no such job"),
        ("UPDATE job_events SET from_status = 'running' WHERE event_id = 2", 2,
         "from running to running, where the log leads from queued to running"),
        ("UPDATE job_events SET to_status = 'failed' WHERE event_id = 3", 3,
         "from running to failed, where the log leads from running to completed"),
        ("UPDATE job_events SET to_status = NULL WHERE event_id = 3", 3, "to no job, where"),
        ("UPDATE job_events SET attempt = 1 WHERE event_id = 1", 1,
         "attempt 1, where the log leads to attempt 0"),
        ("UPDATE job_events SET attempt = 2 WHERE event_id = 2", 2,
         "attempt 2, where the log leads to attempt 1"),
        ("UPDATE job_events SET attempt = 0 WHERE event_id = 3", 3,
         "attempt 0, where the log leads to attempt 1"),
        ("DELETE FROM job_events WHERE event_id = 2", 2, "missing; the next one is 3"),
    ],
)  # fmt: skip
async def test_replay_detects_a_forged_log_with_valid_hashes(
    store: Store, tmp_path: Path, sql: str, event_id: int, message: str
) -> None:
    await complete(store)

    forge(tmp_path, sql)

    assert problem(tmp_path).event_id == event_id
    assert message in problem(tmp_path).message


async def test_an_event_after_its_jobs_pruning_is_detected(store: Store, tmp_path: Path) -> None:
    await complete(store, keep=0)
    job_id = await submit(store)

    forge(
        tmp_path,
        "UPDATE job_events SET event = 'reattached', from_status = 'running',"
        " job_id = (SELECT job_id FROM job_events WHERE event_id = 1) WHERE event_id = 5",
    )

    assert problem(tmp_path).job_id != job_id
    assert "there is no such job at this point" in problem(tmp_path).message


def test_replay_handles_new_kinds_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Transition({Status.FAILED: Status.QUEUED})
    moves = {kind.value: move for kind, move in TRANSITIONS.items()}
    monkeypatch.setattr("evalserver.store.replay.MOVES", {**moves, "again": again})
    replay = Replay()
    transitions = [
        (EventKind.SUBMITTED, None, "queued", 0),
        (EventKind.CLAIMED, "queued", "running", 1),
        (EventKind.FAILED, "running", "failed", 1),
        ("again", "failed", "queued", 1),
        (EventKind.CLAIMED, "queued", "running", 2),
    ]

    faults = [
        replay.play(
            {"event_id": number, "job_id": "a", "event": kind, "from_status": before,
             "to_status": after, "attempt": attempt}
        )
        for number, (kind, before, after, attempt) in enumerate(transitions, 1)
    ]  # fmt: skip

    assert faults == [None] * len(transitions)


async def test_a_rehashed_event_breaks_the_chain_at_the_next_one(
    store: Store, tmp_path: Path
) -> None:
    await complete(store)
    forged = "UPDATE job_events SET actor = 'eve' WHERE event_id = 2"
    [kept] = rows(tmp_path, "SELECT prev_hash, hash FROM job_events WHERE event_id = 3")

    forge(tmp_path, forged)
    restore = f"UPDATE job_events SET prev_hash = '{kept[0]}', hash = '{kept[1]}'"  # noqa: S608
    change(tmp_path / DATABASE_NAME, f"{restore} WHERE event_id = 3")

    assert problem(tmp_path).event_id == 3


def test_the_newest_hash_depends_on_every_event(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    write_log(path, jobs=2)
    before = verify(tmp_path).last_hash

    forge(tmp_path, "UPDATE job_events SET actor = 'eve' WHERE event_id = 1")

    assert verify(tmp_path).problem is None, "recomputed hashes are not detected here"
    assert verify(tmp_path).last_hash != before, "but by comparison with a recorded newest hash"
    assert read(path, "SELECT count(*) FROM job_events WHERE hash = ?", before) == [(0,)]
