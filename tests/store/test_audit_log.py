"""The audit log: nobody edits it unseen, it says who, and it can be replayed."""

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

from evalserver.core.job import Outcome
from evalserver.core.lifecycle import TRANSITIONS, EventKind, Status
from evalserver.store import IllegalTransition, Store, snapshot, verify_log
from evalserver.store.events import GENESIS_HASH, event_hash
from evalserver.store.store import DATABASE_NAME
from tests.store.test_jobs import ACCURACY, PLENTY, claim, complete, completed, start, submit
from tests.store.test_migrate import change, contents, events_of, rows

Deed = Callable[[Store, str], Awaitable[Any]]

FAILED = Outcome(Status.FAILED, "2030-01-01T00:00:00.000+00:00", 1, "it broke")
CANCELLED = Outcome(Status.CANCELLED, "2030-01-01T00:00:00.000+00:00")

DEEDS: dict[str, Deed] = {
    "claim": claim,
    "retry": lambda store, job_id: store.jobs.retry(job_id, "bob"),
    "reattach": lambda store, job_id: store.jobs.reattach(job_id),
    "cancel_queued": lambda store, job_id: store.jobs.cancel_queued(job_id, "bob", PLENTY),
    "request_cancel": lambda store, job_id: store.jobs.request_cancel(job_id, "bob"),
    "interrupt": lambda store, job_id: store.jobs.interrupt(job_id, "lost"),
    "complete": lambda store, job_id: store.jobs.finish(job_id, completed(ACCURACY), PLENTY),
    "fail": lambda store, job_id: store.jobs.finish(job_id, FAILED, PLENTY),
    "end_cancelled": lambda store, job_id: store.jobs.finish(job_id, CANCELLED, PLENTY),
}

REPLACE = (
    "INSERT OR REPLACE INTO job_events"
    " SELECT {event_id}, at, 'nobody', job_id, event, from_status, to_status, attempt, detail,"
    " prev_hash, {hash} FROM job_events WHERE event_id = 1"
)
"""Takes the place of the first event by its number or by its hash; no delete trigger fires."""

LEGAL = {
    "queued": {"claim", "cancel_queued"},
    "running": set(DEEDS) - {"claim", "cancel_queued", "retry"},
    "completed": {"retry"},
    "pruned": set[str](),
}

REACH: dict[str, Callable[[Store], Awaitable[str]]] = {
    "queued": submit,
    "running": start,
    "completed": complete,
    "pruned": complete,
}


def replay(folder: Path) -> dict[str, str]:
    """The jobs' states as the audit log alone tells them, each move checked against the last."""
    states: dict[str, str] = {}
    moves = "SELECT job_id, event, from_status, to_status FROM job_events ORDER BY event_id"
    for job_id, event, before, after in rows(folder, moves):
        assert before == states.pop(job_id, None)
        assert before in TRANSITIONS[EventKind(event)].before
        if after is not None:
            states[job_id] = after
    return states


def broken_links(folder: Path) -> list[int]:
    """The events whose hash is not that of their content and of the event before them."""
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
    """Change the log as somebody does who can write to the file and takes the triggers away."""
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


async def test_the_hash_chain_holds(store: Store, tmp_path: Path) -> None:
    await asyncio.gather(*(complete(store, keep=2) for _ in range(5)))

    assert broken_links(tmp_path) == []


async def test_the_hash_chain_holds_over_a_restart(store: Store, tmp_path: Path) -> None:
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
async def test_an_edited_event_shows(store: Store, tmp_path: Path, assignment: str) -> None:
    await complete(store)

    tamper(tmp_path, f"UPDATE job_events SET {assignment} WHERE event_id = 3")  # noqa: S608

    assert broken_links(tmp_path) == [3]


async def test_a_deleted_event_shows(store: Store, tmp_path: Path) -> None:
    await complete(store)

    tamper(tmp_path, "DELETE FROM job_events WHERE event_id = 2")

    assert broken_links(tmp_path) == [3]


async def test_every_event_says_who(store: Store, tmp_path: Path) -> None:
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


async def test_asking_again_for_a_cancel_changes_nothing(store: Store, tmp_path: Path) -> None:
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
    ("state", "deed"),
    [(state, deed) for state, legal in LEGAL.items() for deed in DEEDS if deed not in legal],
)
async def test_a_deed_from_the_wrong_state_is_refused_and_changes_nothing(
    store: Store, tmp_path: Path, state: str, deed: str
) -> None:
    job_id = await REACH[state](store)
    job = await store.queries.job(job_id)
    if state == "pruned":
        await store.jobs.prune(keep=0)
    before = contents(tmp_path)

    with pytest.raises(IllegalTransition, match=job_id):
        if deed == "claim":
            await store.jobs.claim(job, Path("run"), Path("output"))
        else:
            await DEEDS[deed](store, job_id)

    assert contents(tmp_path) == before


@settings(max_examples=25)
@given(chance=st.randoms(use_true_random=False), deeds=st.integers(1, 30))
def test_replaying_the_log_gives_the_states_of_the_jobs(chance: random.Random, deeds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        asyncio.run(_live(folder, chance, deeds))

        assert replay(folder) == dict(rows(folder, "SELECT job_id, status FROM jobs"))
        assert broken_links(folder) == []
        with snapshot(folder / DATABASE_NAME) as opened:
            assert verify_log(opened).problem is None


async def _live(folder: Path, chance: random.Random, deeds: int) -> None:
    """Do random legal deeds to random jobs, as a scheduler and clients would."""
    store = await Store.open(folder)
    try:
        await _do_deeds(store, chance, deeds)
    finally:
        # Also when hypothesis ends the example by an exception, as it does with a long one.
        await store.close()


async def _do_deeds(store: Store, chance: random.Random, deeds: int) -> None:
    submitted: list[str] = []
    for _ in range(deeds):
        kept = await store.queries.all_ids()
        jobs = [await store.queries.job(job_id) for job_id in submitted if job_id in kept]
        job = chance.choice([None, *jobs])
        legal = sorted(LEGAL.get(job.status, ())) if job else []
        if job and legal:
            await DEEDS[chance.choice(legal)](store, job.job_id)
        elif chance.random() < 0.8:
            submitted.append(await submit(store))
        else:
            await store.jobs.prune(keep=chance.randint(0, 3))
