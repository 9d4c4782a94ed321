"""Verifying the audit log: a sound log passes, and the first bad row is named."""

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.core.clock import utc_now
from evalserver.core.lifecycle import EventKind
from evalserver.store import NewVerdict, Problem, Store, Verdict, snapshot, verify_log
from evalserver.store.events import GENESIS_HASH, HASHED_COLUMNS, event_hash
from evalserver.store.migrate import migrate
from evalserver.store.store import DATABASE_NAME
from tests.store.test_audit_log import CANCELLED, tamper
from tests.store.test_jobs import PLENTY, claim, complete, start, submit
from tests.store.test_migrate import change, rows

NOW = "2030-01-01T00:00:00.000+00:00"


def verify(folder: Path) -> Verdict:
    """The verdict on the database of a data directory."""
    with snapshot(folder / DATABASE_NAME) as opened:
        return verify_log(opened)


def problem(folder: Path) -> Problem:
    """The problem of a data directory's database; there must be one."""
    found = verify(folder).problem
    assert found is not None
    return found


def write_log(path: Path, jobs: int) -> int:
    """Write a sound log of jobs that were submitted and pruned; returns its number of events."""
    migrate(path, utc_now)
    last = GENESIS_HASH
    transitions = [
        ("submitted", None, "queued", 0), ("claimed", "queued", "running", 1),
        ("completed", "running", "completed", 1), ("pruned", "completed", None, 1),
    ]  # fmt: skip
    with closing(sqlite3.connect(path)) as connection:
        for job in range(jobs):
            for kind, before, after, attempt in transitions:
                values = (NOW, "server", f"job {job}", kind, before, after, attempt, "{}", last)
                last = event_hash(dict(zip(HASHED_COLUMNS, values, strict=True)))
                connection.execute(
                    "INSERT INTO job_events (at, actor, job_id, event, from_status, to_status,"
                    " attempt, detail, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*values, last),
                )
        connection.commit()
    return jobs * len(transitions)


async def test_a_log_of_every_kind_of_event_is_sound(store: Store, tmp_path: Path) -> None:
    interrupted = await start(store)
    await store.jobs.interrupt(interrupted, "lost")
    await claim(store, interrupted)
    await store.jobs.reattach(interrupted)
    await store.jobs.stall(interrupted, "2030-01-01T00:00:00.000+00:00")
    await store.jobs.end_stall(interrupted)
    await store.jobs.request_cancel(interrupted, "bob")
    await store.jobs.finish(interrupted, CANCELLED, PLENTY)
    await store.jobs.retry(interrupted, "bob")
    await store.jobs.cancel_queued(interrupted, "bob", keep=0)
    await store.jobs.erase(interrupted, "carol")
    for _ in range(3):
        job_id = await complete(store, keep=2)
    verdict_of_gate = NewVerdict(job_id, 1, None, None, None, None, False, "go", "why", {})
    await store.gates.keep(verdict_of_gate, "bob")
    await store.jobs.prioritize(await submit(store), 1, "bob")
    handed_over = await store.queries.job(await submit(store, priority=2))
    await store.jobs.hand_over(handed_over, Path("run"), Path("output"))
    await store.jobs.start(handed_over.job_id, "2030-01-01T00:00:00.000+00:00")
    await store.jobs.postpone(handed_over.job_id, "it is too late")

    verdict = verify(tmp_path)

    assert {kind for (kind,) in rows(tmp_path, "SELECT event FROM job_events")} == {
        kind.value for kind in EventKind if kind is not EventKind.FAILED
    }
    [(events, newest)] = rows(
        tmp_path, "SELECT event_id, hash FROM job_events ORDER BY event_id DESC LIMIT 1"
    )
    assert verdict == Verdict(events, jobs=4, last_hash=newest, problem=None)


async def test_an_empty_log_is_sound(store: Store, tmp_path: Path) -> None:
    assert verify(tmp_path) == Verdict(0, 0, GENESIS_HASH, None)


@pytest.mark.parametrize(
    ("sql", "event_id", "message"),
    [
        ("UPDATE job_events SET actor = 'eve' WHERE event_id = 3", 3, "hash does not match"),
        ("UPDATE job_events SET hash = 'f' WHERE event_id = 3", 3, "hash does not match"),
        ("UPDATE job_events SET prev_hash = 'f' WHERE event_id = 3", 3, "prev_hash is not the"),
        ("DELETE FROM job_events WHERE event_id = 1", 1, "missing; the next one is 2"),
        ("DELETE FROM job_events WHERE event_id = 3", 3, "missing; the next one is 4"),
        ("DELETE FROM job_events WHERE event_id = 6", 6, "missing; 6 events were written"),
        ("DELETE FROM job_events", 1, "missing; 6 events were written, and 0 are there"),
        ("UPDATE sqlite_sequence SET seq = 4 WHERE name = 'job_events'", 6, "it was edited"),
        ("DELETE FROM sqlite_sequence WHERE name = 'job_events'", 6, "it was edited"),
        ("UPDATE job_events SET actor = CAST(x'ff' AS TEXT) WHERE event_id = 3", 3, "be read"),
    ],
)
async def test_tampering_is_detected_and_the_first_bad_event_named(
    store: Store, tmp_path: Path, sql: str, event_id: int, message: str
) -> None:
    await complete(store)
    await complete(store)

    tamper(tmp_path, sql)

    found = problem(tmp_path)
    assert found.event_id == event_id
    assert found.message.startswith(f"event {event_id}")
    assert message in found.message


async def test_a_blob_instead_of_text_is_detected(store: Store, tmp_path: Path) -> None:
    await complete(store)
    loosen = (
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '')"
        " WHERE name = 'job_events'; PRAGMA writable_schema = RESET;"
    )

    tamper(tmp_path, loosen)
    change(tmp_path / DATABASE_NAME, "UPDATE job_events SET actor = x'ff' WHERE event_id = 2")

    assert problem(tmp_path).event_id == 2


async def test_the_first_of_several_bad_events_is_named(store: Store, tmp_path: Path) -> None:
    await complete(store)

    tamper(tmp_path, "UPDATE job_events SET at = 'never' WHERE event_id >= 2")

    assert verify(tmp_path).events == 1
    assert problem(tmp_path).event_id == 2


@pytest.mark.parametrize(
    ("sql", "event_id", "message"),
    [
        ("UPDATE jobs SET status = 'failed', error = 'e'", 3,
         "jobs has status failed, where event 3 left it completed"),
        ("UPDATE jobs SET attempt = 7", 3, "jobs has attempt 7, where event 3 left it 1"),
        ("UPDATE jobs SET job_id = 'ghost'", None, "in jobs, and no event tells of it"),
        ("DELETE FROM jobs", 3, "missing in jobs; event 3 left it completed"),
    ],
)  # fmt: skip
async def test_a_job_that_contradicts_its_events_is_detected(
    store: Store, tmp_path: Path, sql: str, event_id: int | None, message: str
) -> None:
    await complete(store)

    change(tmp_path / DATABASE_NAME, sql)

    found = problem(tmp_path)
    assert found.event_id == event_id
    assert found.message.startswith(f"job {found.job_id}: ")
    assert message in found.message


async def test_a_pruned_job_that_still_exists_is_detected(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)
    await store.jobs.prune(keep=0)
    columns = "job_id, status, engine, model, tasks, request, submitted_by, created_at"

    change(
        tmp_path / DATABASE_NAME,
        f"INSERT INTO jobs ({columns}, max_attempts) VALUES"  # noqa: S608
        f" ('{job_id}', 'queued', 'e', 'm', '[]', '{{}}', 'eve', '{NOW}', 1)",
    )

    assert problem(tmp_path).message == f"job {job_id}: it is in jobs, and event 4 removed it"


async def test_verification_reads_a_consistent_snapshot(store: Store, tmp_path: Path) -> None:
    await complete(store)
    with snapshot(tmp_path / DATABASE_NAME) as opened:
        before = verify_log(opened)

        await complete(store, keep=1)

        assert verify_log(opened) == before
    assert verify(tmp_path).events > before.events


async def test_verification_writes_nothing(store: Store, tmp_path: Path) -> None:
    with (
        snapshot(tmp_path / DATABASE_NAME) as opened,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        opened.execute("DELETE FROM jobs")


def test_memory_use_does_not_grow_with_the_log(tmp_path: Path) -> None:
    events = write_log(tmp_path / DATABASE_NAME, jobs=5000)
    tracemalloc.start()

    verdict = verify(tmp_path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (verdict.events, verdict.problem) == (events, None)
    assert peak < 1_000_000, "bytes, for 20 000 events of some 400 bytes each"
