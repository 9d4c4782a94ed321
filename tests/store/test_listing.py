"""Listing jobs: their order, and pagination."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.lifecycle import Status
from evalserver.store import DATABASE_NAME, NEWEST, JobFilter, Store, listing
from evalserver.store.listing import MAX_PAGE_BYTES
from evalserver.store.readers import Readers
from tests.store.test_jobs import claim, complete, completed, submit

ALL = JobFilter()


class Hours:
    """A clock that is set manually, forwards and back."""

    def __init__(self, hour: int) -> None:
        self.hour = hour

    def __call__(self) -> datetime:
        return datetime(2030, 1, 1, self.hour, tzinfo=UTC)

    @property
    def text(self) -> str:
        """The time as the store records it."""
        return timestamp(self())


@asynccontextmanager
async def opened(folder: Path, clock: Clock = utc_now) -> AsyncIterator[Store]:
    """A store that is open within the block."""
    store = await Store.open(folder, clock)
    try:
        yield store
    finally:
        await store.close()


class Interrupted(Readers):
    """Readers that run an operation between their first query and the next."""

    async def fetch(self, *query: Any) -> list[Any]:
        rows = await super().fetch(*query)
        if self.operation is not None:
            operation, self.operation = self.operation, None
            await operation()
        return rows

    operation: Callable[[], Awaitable[Any]] | None = None


@pytest.fixture
async def readers(store: Store, tmp_path: Path) -> AsyncIterator[Interrupted]:
    """Readers of the store's database."""
    readers = await Interrupted.open(tmp_path / DATABASE_NAME)
    yield readers
    await readers.close()


async def listed(store: Store, wanted: JobFilter = ALL, most: int = 100) -> list[str]:
    """The ids of the wanted jobs, from one page."""
    return [job.job_id for job in (await store.queries.page(wanted, most)).jobs]


async def pages(store: Store, wanted: JobFilter, most: int) -> list[list[str]]:
    """The ids of all wanted jobs, page by page."""
    found = []
    before: int | None = NEWEST
    while before is not None:
        page = await store.queries.page(wanted, most, before)
        found.append([job.job_id for job in page.jobs])
        before = page.next
    return found


async def test_jobs_are_listed_newest_first(store: Store) -> None:
    first, second, third = [await submit(store) for _ in range(3)]

    assert await listed(store) == [third, second, first]


async def test_a_listed_job_has_its_full_record(store: Store) -> None:
    job_id = await complete(store, labels={"team": "a"})

    page = await store.queries.page(ALL, 1)

    assert page.jobs == [await store.queries.job(job_id)]


async def test_an_empty_store_has_one_empty_page(store: Store) -> None:
    assert await pages(store, ALL, 1) == [[]]


async def test_a_priority_does_not_change_the_order_of_the_list(store: Store) -> None:
    urgent = await submit(store, priority=9)
    later = await submit(store)

    assert await listed(store) == [later, urgent]


async def test_setting_the_clock_back_does_not_change_the_order(tmp_path: Path) -> None:
    clock = Hours(5)
    async with opened(tmp_path, clock) as store:
        first = await submit(store)
        clock.hour = 3
        second = await submit(store)

        assert await listed(store) == [second, first]


@pytest.mark.parametrize("most", [1, 2, 5, 6])
async def test_pages_contain_every_job_once(store: Store, most: int) -> None:
    jobs = [await submit(store) for _ in range(5)][::-1]

    found = await pages(store, ALL, most)

    assert [job_id for page in found for job_id in page] == jobs
    assert [len(page) for page in found[:-1]] == [most] * (len(found) - 1)


async def test_a_full_last_page_has_no_next_page(store: Store) -> None:
    await submit(store)
    await submit(store)

    assert (await store.queries.page(ALL, 2)).next is None


async def test_pages_of_a_filter_contain_every_job_once(store: Store) -> None:
    jobs = []
    for number in range(9):
        operation = complete if number % 3 else submit
        jobs.append(await operation(store, model=f"m{number % 2}"))

    wanted = JobFilter(statuses=frozenset({Status.COMPLETED, Status.QUEUED}), model="m0")

    found = await pages(store, wanted, 2)
    assert [job_id for page in found for job_id in page] == jobs[::-2]


async def test_new_submissions_do_not_shift_pages(store: Store) -> None:
    old = [await submit(store) for _ in range(4)]
    first = await store.queries.page(ALL, 2)
    assert first.next is not None
    await submit(store)

    second = await store.queries.page(ALL, 2, first.next)

    assert [job.job_id for job in second.jobs] == [old[1], old[0]]


async def test_a_page_continues_after_a_pruned_job(store: Store) -> None:
    oldest, last = await submit(store), await complete(store)
    page = await store.queries.page(ALL, 1)
    assert [job.job_id for job in page.jobs] == [last]
    assert page.next is not None
    await store.jobs.prune(keep=0)

    rest = await store.queries.page(ALL, 2, page.next)

    assert [job.job_id for job in rest.jobs] == [oldest]


async def test_a_job_that_changes_status_or_is_pruned_during_the_query_is_omitted(
    store: Store, readers: Interrupted
) -> None:
    stays, goes = await submit(store), await submit(store)

    async def page_during(operation: Callable[[], Awaitable[Any]], wanted: JobFilter) -> list[str]:
        readers.operation = operation
        page = await listing.page(readers, wanted, 2, NEWEST)
        return [job.job_id for job in page.jobs]

    queued = JobFilter(statuses=frozenset({Status.QUEUED}))
    assert await page_during(lambda: claim(store, goes), queued) == [stays]
    assert await page_during(lambda: store.jobs.finish(goes, completed(), 0), ALL) == [stays]


async def test_a_page_of_large_records_is_shortened_and_continued(store: Store) -> None:
    large = {"text": "x" * (MAX_PAGE_BYTES // 3)}
    jobs = [await submit(store, model_args=large) for _ in range(3)]

    assert await pages(store, ALL, 3) == [[jobs[2], jobs[1]], [jobs[0]]]


async def test_an_oversized_record_gets_its_own_page(store: Store) -> None:
    too_large = {"text": "x" * MAX_PAGE_BYTES}
    jobs = [await submit(store, model_args=too_large) for _ in range(3)]

    assert await pages(store, ALL, 3) == [[job_id] for job_id in jobs[::-1]]
