"""A follower handles the events of the audit log in order, each at least once, after any crash."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evalserver.core.lifecycle import EventKind
from evalserver.followers import follower as module
from evalserver.followers.follower import Follower, Handler
from evalserver.store import (
    DATABASE_NAME,
    ArchiveFailed,
    Event,
    Store,
    write_archive,
)
from tests.auditors_story import at
from tests.small_disk import no_room_beyond
from tests.store.test_jobs import complete, start, submit
from tests.support import until

SUBMITTED = (EventKind.SUBMITTED,)
EVER = at(59)


class Handled:
    """A handler that keeps what it was given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def jobs(self) -> list[str]:
        return [event.job_id for event in self.events]


@asynccontextmanager
async def following(
    store: Store, handle: Handler, kinds: Iterable[EventKind] = SUBMITTED
) -> AsyncIterator[asyncio.Task[None]]:
    """A follower that runs within the block, from the events that come after it began."""
    task = asyncio.create_task(Follower("test", store, tuple(kinds), handle).run())

    async def has_begun() -> bool:
        return task.done() or await store.cursors.find("test") is not None

    await until(has_begun)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ZeroDivisionError):
            await task


async def cursor_at_newest(store: Store) -> None:
    """Wait until the follower has moved its cursor to the newest event."""

    async def reached() -> bool:
        return await store.cursors.find("test") == await store.events.newest_id()

    await until(reached)


async def until_writable(store: Store) -> None:
    """Wait until the store has noticed that it can write again."""

    async def can_write() -> bool:
        return store.fault is None

    await until(can_write)


async def test_events_are_handled_in_the_order_of_the_log(store: Store) -> None:
    handled = Handled()
    async with following(store, handled):
        jobs = [await submit(store) for _ in range(5)]
        await cursor_at_newest(store)

    assert handled.jobs == jobs


async def test_only_events_of_the_kinds_are_handled(store: Store) -> None:
    handled = Handled()
    async with following(store, handled, [EventKind.COMPLETED]):
        await submit(store)
        done = await complete(store)
        await cursor_at_newest(store)

    assert handled.jobs == [done]
    assert handled.events[0].event == "completed"


async def test_a_new_follower_begins_with_the_next_event(store: Store) -> None:
    await submit(store)
    handled = Handled()
    async with following(store, handled):
        after = await submit(store)
        await cursor_at_newest(store)

    assert handled.jobs == [after]


async def test_what_comes_while_none_runs_is_handled_at_the_next_start(store: Store) -> None:
    async with following(store, Handled()):
        pass
    missed = [await submit(store) for _ in range(3)]

    handled = Handled()
    async with following(store, handled):
        await cursor_at_newest(store)

    assert handled.jobs == missed


async def test_an_event_whose_handler_fails_comes_again_before_later_ones(store: Store) -> None:
    async def fail(event: Event) -> None:
        raise ZeroDivisionError

    async with following(store, fail) as task:
        jobs = [await submit(store), await submit(store)]
        with pytest.raises(ZeroDivisionError):
            await task

    handled = Handled()
    async with following(store, handled):
        await cursor_at_newest(store)
    assert handled.jobs == jobs


async def test_a_full_disk_makes_it_wait_and_is_logged_once(store: Store, tmp_path: Path) -> None:
    full = ExitStack()
    handled: list[str] = []

    async def keep(event: Event) -> None:
        if not handled:
            full.enter_context(no_room_beyond(tmp_path / f"{DATABASE_NAME}-wal"))
        handled.append(event.job_id)
        if len(handled) == 3:
            full.close()
        await store.server.note_disk(0, 1, is_low=True)

    with full, capture_logs() as logged:
        async with following(store, keep):
            job = await submit(store)
            await cursor_at_newest(store)

    assert set(handled) == {job}
    assert [each["event"] for each in logged if "unavailable" in each["event"]] == [
        "the store is unavailable; trying again"
    ]


async def test_a_cursor_that_cannot_be_moved_is_moved_later(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    full = ExitStack()
    handled = Handled()

    async def fill(event: Event) -> None:
        await handled(event)
        if len(handled.events) == 1:
            full.enter_context(no_room_beyond(tmp_path / f"{DATABASE_NAME}-wal"))

    async def cannot_write() -> bool:
        return store.fault is not None

    with full:
        async with following(store, fill):
            jobs = [await submit(store)]
            await until(cannot_write)
            full.close()
            await until_writable(store)
            jobs.append(await submit(store))
            await cursor_at_newest(store)

    assert handled.jobs == jobs


async def test_a_handler_that_waits_delays_no_command(store: Store) -> None:
    began = asyncio.Event()

    async def hang(event: Event) -> None:
        began.set()
        await asyncio.Event().wait()

    async with following(store, hang):
        await submit(store)
        await began.wait()
        await complete(store)


async def test_more_events_than_a_page_are_all_handled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    async with following(store, Handled()):
        pass
    jobs = [await submit(store) for _ in range(5)]

    handled = Handled()
    async with following(store, handled):
        await cursor_at_newest(store)

    assert handled.jobs == jobs


async def test_what_was_not_handled_is_not_archived(store: Store, tmp_path: Path) -> None:
    async with following(store, Handled(), [EventKind.COMPLETED]):
        pass
    await complete(store)
    await store.jobs.prune(0)
    await submit(store)

    made = write_archive(tmp_path / DATABASE_NAME, tmp_path / "a.db", "9999")

    assert made.last_event == 2  # the third is that the job was completed


async def test_an_archive_with_what_was_not_handled_removes_nothing(
    store: Store, tmp_path: Path
) -> None:
    await complete(store)
    await store.jobs.prune(0)
    await submit(store)
    write_archive(tmp_path / DATABASE_NAME, tmp_path / "a.db", "9999")
    await store._writer.run(
        lambda tx: tx.execute(
            "INSERT INTO follower_cursors VALUES ('webhooks', '[\"completed\"]', 0)"
        )
    )

    with pytest.raises(ArchiveFailed, match="webhooks have not handled"):
        await store.server.remove_archived("operator", tmp_path / "a.db")


async def test_events_that_no_follower_handles_are_archived(store: Store, tmp_path: Path) -> None:
    async with following(store, Handled(), [EventKind.STALLED]):
        await complete(store)
        await store.jobs.prune(0)

        made = write_archive(tmp_path / DATABASE_NAME, tmp_path / "a.db", "9999")

    assert made.last_event == 4


async def test_a_cursor_never_moves_back(store: Store) -> None:
    await start(store)
    assert await store.cursors.begin("test", SUBMITTED) == 2

    await store.cursors.advance("test", 1)

    assert await store.cursors.find("test") == 2
