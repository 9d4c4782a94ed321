"""Listing jobs in a requested order, page by page."""

from collections.abc import Iterator
from pathlib import Path

import aiosqlite
import pytest

from evalserver.core.lifecycle import Status
from evalserver.store import JobFilter, Order, Place, SortKey, Store, sorting
from evalserver.store.migrate import migrate
from evalserver.store.readers import Readers
from evalserver.store.store import DATABASE_NAME
from evalserver.store.transaction import Row
from tests.store.test_costs import NOW, PAGES, VARIOUS_JOBS, Steps
from tests.store.test_jobs import complete, start, submit

ALL = JobFilter()
STORED = 20_000
MAX_STEPS = 5 * STORED
"""Enough to read an index of all jobs once, but not to read all their records."""


async def listed(store: Store, wanted: JobFilter, order: Order, most: int = 2) -> list[str]:
    """The job ids of all pages."""
    found: list[str] = []
    after: Place | None = None
    while True:
        page = await store.queries.sorted_page(wanted, most, order, after)
        found += [job.job_id for job in page.jobs]
        if page.next is None:
            return found
        after = page.next


def both_ways(key: SortKey) -> Iterator[Order]:
    """The ascending and the descending order."""
    yield Order(key)
    yield Order(key, descending=True)


@pytest.mark.parametrize("most", [1, 2, 10])
async def test_jobs_are_sorted_by_priority_then_by_submission(store: Store, most: int) -> None:
    low, high, same = [await submit(store, priority=each) for each in (-2, 7, -2)]

    assert await listed(store, ALL, Order(SortKey.PRIORITY), most) == [low, same, high]
    upside_down = Order(SortKey.PRIORITY, descending=True)
    assert await listed(store, ALL, upside_down, most) == [high, same, low]


async def test_jobs_are_sorted_by_model(store: Store) -> None:
    second, first, third = [await submit(store, model=each) for each in ("b", "a", "ä")]

    assert await listed(store, ALL, Order(SortKey.MODEL)) == [first, second, third]


async def test_jobs_are_sorted_by_the_checkpoint_that_lists_show(store: Store) -> None:
    second, first = [await submit(store, model_args={"pretrained": each}) for each in ("b", "a")]

    assert await listed(store, ALL, Order(SortKey.MODEL)) == [first, second]


async def test_jobs_are_sorted_by_submission_in_both_directions(store: Store) -> None:
    jobs = [await submit(store) for _ in range(5)]

    assert await listed(store, ALL, Order(SortKey.CREATED_AT)) == jobs
    assert await listed(store, ALL, Order(SortKey.CREATED_AT, descending=True)) == jobs[::-1]


@pytest.mark.parametrize("key", [SortKey.STARTED_AT, SortKey.COMPLETED_AT, SortKey.DURATION])
async def test_jobs_without_the_time_come_last_in_both_directions(
    store: Store, key: SortKey
) -> None:
    waiting = [await submit(store) for _ in range(3)]
    done = [await complete(store) for _ in range(2)]

    for order in both_ways(key):
        found = await listed(store, ALL, order)
        assert set(found[:2]) == set(done)
        assert set(found[2:]) == set(waiting)


@pytest.mark.parametrize("key", SortKey)
async def test_filters_apply_in_every_order(store: Store, key: SortKey) -> None:
    wanted = [await start(store, labels={"run": "1"}) for _ in range(3)]
    await start(store)
    await submit(store, labels={"run": "1"})
    running = JobFilter(frozenset({Status.RUNNING}), labels=(("run", "1"),))

    for order in both_ways(key):
        assert sorted(await listed(store, running, order)) == sorted(wanted)


async def test_a_job_submitted_between_two_pages_shifts_none(store: Store) -> None:
    jobs = [await submit(store, priority=1) for _ in range(4)]
    order = Order(SortKey.PRIORITY, descending=True)

    first = await store.queries.sorted_page(ALL, 2, order)
    await submit(store, priority=5)
    await submit(store, priority=1)
    second = await store.queries.sorted_page(ALL, 10, order, first.next)

    assert [job.job_id for job in (*first.jobs, *second.jobs)] == jobs[::-1]


async def test_no_order_reads_the_records_of_all_jobs(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME)
    async with aiosqlite.connect(tmp_path / DATABASE_NAME, isolation_level=None) as connection:
        connection.row_factory = Row
        values = {"jobs": STORED, "more": STORED + 1, "now": NOW}
        await connection.execute_fetchall(VARIOUS_JOBS, values)
        steps = Steps()
        await connection.set_progress_handler(steps.count, 1)
        readers = Readers([connection], connection._conn)
        too_expensive = {}
        for name, wanted in PAGES.items():
            for key in SortKey:
                for order in both_ways(key):
                    before = steps.taken
                    await sorting.sorted_page(readers, wanted, 10, order, None)
                    if steps.taken - before > MAX_STEPS:
                        too_expensive[name, order] = steps.taken - before

    assert too_expensive == {}
