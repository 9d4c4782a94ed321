"""The single writer: group commit, failing units, cancelled callers, a stuck database."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.core.lifecycle import EventKind
from evalserver.store import CommittedEvent, IllegalTransition, Store, StoreUnavailable
from evalserver.store.store import DATABASE_NAME
from evalserver.store.transaction import Transaction, Work
from evalserver.store.writer import MAX_BATCH, Writer
from tests.store.test_jobs import complete, start, submit
from tests.store.test_migrate import contents, read
from tests.support import WAIT_SECONDS

SECONDS = 5.0  # no operation in these tests takes as long

EVENT = CommittedEvent(
    1, EventKind.CLAIMED, "id", 1, 0, None, None, "lmms_eval", 1, "2030", "2030", None, "alice", 2
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one table of numbers."""
    path = tmp_path / "numbers.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY, pad TEXT) STRICT")
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """The connection that the writer owns."""
    opened = sqlite3.connect(path, isolation_level=None, timeout=0.05, check_same_thread=False)
    with closing(opened) as connection:
        yield connection


@pytest.fixture
async def writer(connection: sqlite3.Connection) -> AsyncIterator[Writer]:
    """A running writer."""
    writer = Writer(connection)
    writer.start()
    yield writer
    await writer.close()


@pytest.fixture
def statements(connection: sqlite3.Connection) -> list[str]:
    """Every statement that SQLite executes on the writer's connection."""
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    return seen


def insert(number: int, padding: int = 0) -> Work[int]:
    """A unit that writes a number and returns it."""

    def work(tx: Transaction) -> int:
        tx.execute(f"INSERT INTO numbers VALUES ({number}, '{'x' * padding}')")  # noqa: S608
        return number

    return work


def numbers(path: Path) -> list[int]:
    """The numbers on disk."""
    return [n for (n,) in read(path, "SELECT n FROM numbers ORDER BY n")]


async def test_an_acknowledged_unit_is_on_disk(writer: Writer, path: Path) -> None:
    assert await writer.run(insert(7)) == 7
    assert numbers(path) == [7]


@pytest.mark.parametrize(("units", "commits"), [(MAX_BATCH, 1), (MAX_BATCH + 1, 2)])
async def test_units_that_wait_together_share_commits(
    writer: Writer, path: Path, statements: list[str], units: int, commits: int
) -> None:
    begun, all_wait = threading.Event(), threading.Event()

    def occupy(_: Transaction) -> None:
        begun.set()
        all_wait.wait(WAIT_SECONDS)

    occupied = asyncio.create_task(writer.run(occupy))
    await asyncio.to_thread(begun.wait, WAIT_SECONDS)
    waiting = [asyncio.create_task(writer.run(insert(n))) for n in range(units)]
    await asyncio.sleep(0)
    all_wait.set()
    await asyncio.gather(occupied, *waiting)

    assert numbers(path) == list(range(units))
    assert statements.count("COMMIT") == 1 + commits


async def test_units_of_one_round_of_the_event_loop_share_a_commit(
    writer: Writer, statements: list[str]
) -> None:
    await asyncio.gather(*(writer.run(insert(n)) for n in range(100)))

    assert statements.count("COMMIT") == 1


async def test_units_of_the_last_round_are_executed_before_the_writer_stops(
    writer: Writer, path: Path
) -> None:
    waiting = asyncio.create_task(writer.run(insert(7)))
    await asyncio.sleep(0)
    await writer.close()

    assert (await waiting, numbers(path)) == (7, [7])


async def test_units_are_executed_in_order_of_arrival(
    writer: Writer, statements: list[str]
) -> None:
    await asyncio.gather(*(writer.run(insert(n)) for n in range(20)))

    inserted = [text.split("(")[1] for text in statements if text.startswith("INSERT")]
    assert inserted == [f"{n}, '')" for n in range(20)]


async def test_a_failing_unit_changes_nothing_and_keeps_the_others(
    writer: Writer, path: Path
) -> None:
    def fail(tx: Transaction) -> None:
        insert(100)(tx)
        raise ValueError("on purpose")

    outcomes = await asyncio.gather(
        writer.run(insert(1)), writer.run(fail), writer.run(insert(2)), return_exceptions=True
    )

    assert [outcomes[0], str(outcomes[1]), outcomes[2]] == [1, "on purpose", 2]
    assert numbers(path) == [1, 2]


async def test_a_constraint_violation_does_not_affect_other_units(
    writer: Writer, path: Path
) -> None:
    units = [writer.run(insert(n)) for n in (1, 1, 2)]
    _, failed, _ = await asyncio.gather(*units, return_exceptions=True)

    assert isinstance(failed, sqlite3.IntegrityError)
    assert numbers(path) == [1, 2]


async def test_a_cancelled_caller_does_not_affect_others(writer: Writer, path: Path) -> None:
    leaving = asyncio.create_task(writer.run(insert(1)))
    staying = asyncio.create_task(writer.run(insert(2)))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == 2
    assert leaving.cancelled()
    assert numbers(path) == [1, 2]


async def test_a_full_database_is_reported_and_changes_nothing(
    writer: Writer, connection: sqlite3.Connection, path: Path
) -> None:
    connection.execute("PRAGMA max_page_count = 4")

    units = [writer.run(insert(n, padding=3000)) for n in range(5)]
    outcomes = await asyncio.gather(*units, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert numbers(path) == []


async def test_the_writer_recovers_once_there_is_space(
    writer: Writer, connection: sqlite3.Connection, path: Path
) -> None:
    connection.execute("PRAGMA max_page_count = 4")
    with pytest.raises(StoreUnavailable, match="full"):
        await writer.run(insert(1, padding=30000))
    connection.execute("PRAGMA max_page_count = 1000")

    await writer.run(insert(1, padding=30000))

    assert numbers(path) == [1]


async def test_a_locked_database_is_reported_and_recovers(writer: Writer, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="cannot be written: database is locked"):
            await writer.run(insert(1))

    await writer.run(insert(2))

    assert numbers(path) == [2]


async def test_units_submitted_before_the_close_are_executed(writer: Writer, path: Path) -> None:
    waiting = [asyncio.create_task(writer.run(insert(n))) for n in range(10)]
    await asyncio.sleep(0)

    await writer.close()

    assert await asyncio.gather(*waiting) == list(range(10)) == numbers(path)


async def test_a_closed_store_rejects_operations(store: Store) -> None:
    await store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await submit(store)


async def test_a_caller_during_the_close_gets_an_answer(writer: Writer) -> None:
    early = asyncio.create_task(writer.run(insert(1)))
    await asyncio.sleep(0)
    closing_it = asyncio.create_task(writer.close())
    await asyncio.sleep(0)

    late = asyncio.create_task(writer.run(insert(2)))
    _, unanswered = await asyncio.wait([early, late, closing_it], timeout=SECONDS)

    assert unanswered == set()
    assert late.exception() is None or isinstance(late.exception(), StoreUnavailable)


async def test_listeners_receive_every_event_in_audit_log_order(
    store: Store, tmp_path: Path
) -> None:
    received: list[CommittedEvent] = []
    store.subscribe(received.append)

    await asyncio.gather(*(submit(store) for _ in range(10)), *(start(store) for _ in range(5)))
    await complete(store, keep=0)

    log = read(tmp_path / DATABASE_NAME, "SELECT event_id, event, job_id FROM job_events")
    assert [(event.event_id, event.kind, event.job_id) for event in received] == log


async def test_an_event_is_on_disk_when_listeners_receive_it(store: Store, tmp_path: Path) -> None:
    on_disk: list[int] = []
    store.subscribe(lambda _: on_disk.append(len(contents(tmp_path)[1])))

    await submit(store)

    assert on_disk == [1]


async def test_listeners_receive_no_events_of_failed_units(store: Store) -> None:
    job_id = await submit(store)
    received: list[CommittedEvent] = []
    store.subscribe(received.append)

    with pytest.raises(IllegalTransition):
        await store.jobs.interrupt(job_id, "never ran")

    assert received == []


async def test_a_failing_listener_does_not_affect_callers(
    connection: sqlite3.Connection,
) -> None:
    def announce(tx: Transaction) -> str:
        tx.events.append(EVENT)
        return "done"

    def fail(event: CommittedEvent) -> None:
        raise ValueError("on purpose")

    writer = Writer(connection)
    writer.subscribe(fail)
    writer.start()

    answer = await asyncio.wait_for(writer.run(announce), SECONDS)

    assert answer == "done"
    await writer.close()
