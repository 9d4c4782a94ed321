"""The audit log: edits are detected, actors are recorded, and it can be replayed."""

import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import TRANSITIONS, EventKind, Status
from evalserver.store import IllegalTransition, Store, snapshot, verify_log
from evalserver.store.events import GENESIS_HASH, event_hash
from evalserver.store.store import DATABASE_NAME
from tests.store.test_jobs import ACCURACY, PLENTY, claim, complete, completed, start, submit
from tests.store.test_migrate import change, contents, events_of, rows

Operation = Callable[[Store, str], Awaitable[Any]]

FAILED = Outcome(Status.FAILED, "2030-01-01T00:00:00.000+00:00", 1, "it broke")
CANCELLED = Outcome(Status.CANCELLED, "2030-01-01T00:00:00.000+00:00")

OPERATIONS: dict[str, Operation] = {
    "claim": claim,
    "retry": lambda store, job_id: store.jobs.retry(job_id, "bob"),
    "reattach": lambda store, job_id: store.jobs.reattach(job_id),
    "cancel_queued": lambda store, job_id: store.jobs.cancel_queued(job_id, "bob", PLENTY),
    "request_cancel": lambda store, job_id: store.jobs.request_cancel(job_id, "bob"),
    "interrupt": lambda store, job_id: store.jobs.interrupt(job_id, "lost"),
    "postpone": lambda store, job_id: store.jobs.postpone(job_id, "late"),
    "complete": lambda store, job_id: store.jobs.finish(job_id, completed(ACCURACY), PLENTY),
    "fail": lambda store, job_id: store.jobs.finish(job_id, FAILED, PLENTY),
    "end_cancelled": lambda store, job_id: store.jobs.finish(job_id, CANCELLED, PLENTY),
}

REPLACE = (
    "INSERT OR REPLACE INTO job_events"
    " SELECT {event_id}, at, 'nobody', job_id, event, from_status, to_status, attempt, detail,"
    " prev_hash, {hash} FROM job_events WHERE event_id = 1"
)
"""Replaces the first event by its number or by its hash without firing a delete trigger."""

LEGAL = {
    "queued": {"claim", "cancel_queued"},
    "running": set(OPERATIONS) - {"claim", "cancel_queued", "retry"},
    "to be cancelled": set(OPERATIONS) - {"claim", "cancel_queued", "retry", "postpone"},
    "completed": {"retry"},
    "pruned": set[str](),
}


async def _to_be_cancelled(store: Store) -> str:
    job_id = await start(store)
    await store.jobs.request_cancel(job_id, "bob")
    return job_id


REACH: dict[str, Callable[[Store], Awaitable[str]]] = {
    "queued": submit,
    "running": start,
    "to be cancelled": _to_be_cancelled,
    "completed": complete,
    "pruned": complete,
}


def replay(folder: Path) -> dict[str, str]:
    """The jobs' states from the audit log alone, with each transition checked against the last."""
    states: dict[str, str] = {}
    moves = "SELECT job_id, event, from_status, to_status FROM job_events ORDER BY event_id"
    for job_id, event, before, after in rows(folder, moves):
        assert before == states.pop(job_id, None)
        assert before in TRANSITIONS[EventKind(event)].moves
        if after is not None:
            states[job_id] = after
    return states


def broken_links(folder: Path) -> list[int]:
    """The events whose hash does not match their content and the preceding event."""
    broken = []
    last = GENESIS_HASH
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM job_events ORDER BY event_id"):
            if row["prev_hash"] != last or row["hash"] != event_hash(dict(row)):
                broken.append(row["event_id"])
            last = row["hash"]
    return broken


def tamper(folder: Path, sql: str) -> None:
    """Change the log like an attacker who can write to the file and drops the triggers."""
    drop = "DROP TRIGGER job_events_no_update; DROP TRIGGER job_events_no_delete;"
    change(folder / DATABASE_NAME, drop + sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE job_events SET actor = 'nobody'",
        "UPDATE job_events SET event_id = event_id + 100",
        "DELETE FROM job_events",
        "DELETE FROM job_events WHERE event_id = 1",
        REPLACE.format(event_id="1", hash="'another'"),
        REPLACE.format(event_id="NULL", hash="hash"),
    ],
)
async def test_an_event_cannot_be_changed_or_deleted(
    store: Store, tmp_path: Path, sql: str
) -> None:
    await complete(store)
    before = contents(tmp_path)

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        change(tmp_path / DATABASE_NAME, sql)

    assert contents(tmp_path) == before


async def test_the_hash_chain_is_intact(store: Store, tmp_path: Path) -> None:
    await asyncio.gather(*(complete(store, keep=2) for _ in range(5)))

    assert broken_links(tmp_path) == []


async def test_the_hash_chain_continues_after_a_restart(store: Store, tmp_path: Path) -> None:
    await submit(store)
    await store.close()
    reopened = await Store.open(tmp_path)

    await submit(reopened)

    await reopened.close()
    assert broken_links(tmp_path) == []


@pytest.mark.parametrize(
    "assignment",
    [
        "at = '2000-01-01T00:00:00.000+00:00'",
        "actor = 'somebody else'",
        "job_id = 'another'",
        "event = 'failed'",
        "from_status = 'queued'",
        "to_status = 'failed'",
        "attempt = 2",
        "detail = '{}'",
    ],
)
async def test_an_edited_event_is_detected(store: Store, tmp_path: Path, assignment: str) -> None:
    await complete(store)

    tamper(tmp_path, f"UPDATE job_events SET {assignment} WHERE event_id = 3")  # noqa: S608

    assert broken_links(tmp_path) == [3]


async def test_a_deleted_event_is_detected(store: Store, tmp_path: Path) -> None:
    await complete(store)

    tamper(tmp_path, "DELETE FROM job_events WHERE event_id = 2")

    assert broken_links(tmp_path) == [3]


async def test_every_event_records_its_actor(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    await store.jobs.interrupt(job_id, "lost")
    await claim(store, job_id)
    await store.jobs.reattach(job_id)
    await store.jobs.request_cancel(job_id, "bob")
    await store.jobs.finish(job_id, CANCELLED, keep=0)

    assert events_of(tmp_path, job_id) == [
        ("submitted", "alice"),
        ("claimed", "server"),
        ("interrupted", "server"),
        ("claimed", "server"),
        ("reattached", "server"),
        ("cancel_requested", "bob"),
        ("cancelled", "server"),
        ("pruned", "server"),
    ]


async def test_a_repeated_cancel_request_changes_nothing(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    await store.jobs.request_cancel(job_id, "bob")
    before = contents(tmp_path)

    await store.jobs.request_cancel(job_id, "carol")

    assert contents(tmp_path) == before


async def test_metrics_that_cannot_be_written_leave_the_job_running(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)
    before = contents(tmp_path)

    with pytest.raises(sqlite3.IntegrityError):
        await store.jobs.finish(job_id, completed(ACCURACY, ACCURACY), PLENTY)

    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("state", "operation"),
    [
        (state, operation)
        for state, legal in LEGAL.items()
        for operation in OPERATIONS
        if operation not in legal
    ],
)
async def test_an_operation_from_the_wrong_state_is_rejected_and_changes_nothing(
    store: Store, tmp_path: Path, state: str, operation: str
) -> None:
    job_id = await REACH[state](store)
    job = await store.queries.job(job_id)
    if state == "pruned":
        await store.jobs.prune(keep=0)
    before = contents(tmp_path)

    with pytest.raises(IllegalTransition, match=job_id):
        if operation == "claim":
            await store.jobs.claim(job, Path("run"), Path("output"))
        else:
            await OPERATIONS[operation](store, job_id)

    assert contents(tmp_path) == before


@settings(max_examples=25)
@given(chance=st.randoms(use_true_random=False), operations=st.integers(1, 30))
def test_replaying_the_log_gives_the_states_of_the_jobs(
    chance: random.Random, operations: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        asyncio.run(_run_random_operations(folder, chance, operations))

        assert replay(folder) == dict(rows(folder, "SELECT job_id, status FROM jobs"))
        assert broken_links(folder) == []
        with snapshot(folder / DATABASE_NAME) as opened:
            assert verify_log(opened).problem is None


async def _run_random_operations(folder: Path, chance: random.Random, operations: int) -> None:
    """Run random legal operations on random jobs, as a scheduler and clients would."""
    store = await Store.open(folder)
    try:
        await _run_operations(store, chance, operations)
    finally:
        # Also if hypothesis aborts the example with an exception, as it does with a long one.
        await store.close()


def _state(job: Job) -> str:
    if job.status is Status.RUNNING and job.cancel_requested_at is not None:
        return "to be cancelled"
    return job.status


async def _run_operations(store: Store, chance: random.Random, operations: int) -> None:
    submitted: list[str] = []
    for _ in range(operations):
        kept = await store.queries.all_ids()
        jobs = [await store.queries.job(job_id) for job_id in submitted if job_id in kept]
        job = chance.choice([None, *jobs])
        legal = sorted(LEGAL.get(_state(job), ())) if job else []
        if job and legal:
            await OPERATIONS[chance.choice(legal)](store, job.job_id)
        elif chance.random() < 0.8:
            submitted.append(await submit(store))
        else:
            await store.jobs.prune(keep=chance.randint(0, 3))
