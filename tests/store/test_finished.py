"""Listing finished jobs in the order in which they finished, each exactly once."""

from pathlib import Path

import pytest

from evalserver.core.job import Outcome
from evalserver.core.lifecycle import Status
from evalserver.store import DATABASE_NAME, JobFilter, Store
from evalserver.store.listing import MAX_PAGE_BYTES
from evalserver.store.migration_files import known_migrations
from tests.store.test_jobs import PLENTY, claim, complete, completed, start, submit
from tests.store.test_migrate import change, rows

ALL = JobFilter()


async def finished(store: Store, after: int = 0, wanted: JobFilter = ALL) -> list[str]:
    """The ids of the jobs that finished after an event."""
    return [job.job_id for job in (await store.queries.finished_page(wanted, PLENTY, after)).jobs]


async def finish(store: Store, job_id: str) -> int:
    """Complete a running job; returns the id of the completion event."""
    await store.jobs.finish(job_id, completed(), PLENTY)
    return (await store.queries.job(job_id)).event_id


async def pages(store: Store, most: int) -> list[list[str]]:
    """The ids of all finished jobs, page by page."""
    found = []
    after: int | None = 0
    while after is not None:
        page = await store.queries.finished_page(ALL, most, after)
        found.append([job.job_id for job in page.jobs])
        after = page.next
    return found


async def test_jobs_are_listed_in_the_order_in_which_they_finished(store: Store) -> None:
    first, second, third = [await start(store) for _ in range(3)]
    for job_id in (second, third, first):
        await finish(store, job_id)

    assert await finished(store) == [second, third, first]


async def test_only_finished_jobs_are_listed_whatever_their_outcome(store: Store) -> None:
    await submit(store)
    await start(store)
    completes, fails = await complete(store), await start(store)
    await store.jobs.finish(fails, Outcome(Status.FAILED, "2030-01-01", error="Boom"), PLENTY)
    cancelled = await submit(store)
    await store.jobs.cancel_queued(cancelled, "bob", PLENTY)

    assert await finished(store) == [completes, fails, cancelled]


async def test_a_listed_job_has_its_full_record(store: Store) -> None:
    job_id = await complete(store, labels={"team": "a"})

    page = await store.queries.finished_page(ALL, 1)

    assert page.jobs == [await store.queries.job(job_id)]


async def test_only_jobs_that_finished_after_the_event_are_listed(store: Store) -> None:
    early, late = await start(store), await start(store)
    event_id = await finish(store, early)
    await finish(store, late)

    assert await finished(store, event_id - 1) == [early, late]
    assert await finished(store, event_id) == [late]


async def test_a_job_that_finishes_later_comes_after_all_listed_jobs(store: Store) -> None:
    await complete(store)
    page = await store.queries.finished_page(ALL, PLENTY)

    late = await complete(store)

    assert await finished(store, page.jobs[-1].event_id) == [late]


async def test_a_job_that_finishes_again_is_listed_again(store: Store) -> None:
    job_id = await complete(store)
    other = await complete(store)
    seen = (await store.queries.job(other)).event_id
    await store.jobs.retry(job_id, "bob")
    assert await finished(store, seen) == []
    await claim(store, job_id)

    await finish(store, job_id)

    assert await finished(store, seen) == [job_id]
    assert await finished(store) == [other, job_id]


async def test_retrying_the_newest_job_hides_no_job_that_finishes_later(store: Store) -> None:
    newest = await complete(store)
    seen = (await store.queries.job(newest)).event_id
    await store.jobs.retry(newest, "bob")

    other = await complete(store)

    assert await finished(store, seen) == [other]


async def test_a_pruned_job_is_not_listed(store: Store) -> None:
    await complete(store)
    kept = await complete(store, keep=1)

    assert await finished(store) == [kept]


async def test_filters_apply(store: Store) -> None:
    wanted = await complete(store, labels={"series": "a"}, model="m")
    await complete(store, labels={"series": "b"}, model="m")
    await complete(store, labels={"series": "a"}, model="n")

    asked = JobFilter(labels=(("series", "a"),), model="m", created_after="2001")

    assert await finished(store, wanted=asked) == [wanted]


@pytest.mark.parametrize("most", [1, 2, 29, 30, 31])
async def test_pages_contain_every_job_once(store: Store, most: int) -> None:
    jobs = [await complete(store) for _ in range(30)]

    found = await pages(store, most)

    assert [job_id for page in found for job_id in page] == jobs
    assert all(len(page) == most for page in found[:-1])
    assert found[-1]


async def test_a_page_of_large_records_is_shortened_and_continued(store: Store) -> None:
    large = {"text": "x" * (MAX_PAGE_BYTES // 20)}
    jobs = [await complete(store, model_args=large) for _ in range(60)]

    found = await pages(store, 60)

    assert [job_id for page in found for job_id in page] == jobs
    assert len(found) > 1


async def test_no_finished_jobs_give_one_empty_page(store: Store) -> None:
    assert await pages(store, 10) == [[]]


async def test_a_jobs_finish_number_is_its_finishing_event(store: Store, tmp_path: Path) -> None:
    await submit(store)
    job_id = await complete(store)

    [(number,)] = rows(tmp_path, "SELECT finish_number FROM jobs WHERE job_id = ?", job_id)

    assert number == (await store.queries.job(job_id)).event_id


async def test_finish_numbers_of_an_older_database_become_finishing_events(
    tmp_path: Path,
) -> None:
    store = await Store.open(tmp_path)
    jobs = [await complete(store) for _ in range(3)]
    events = [(await store.queries.job(job_id)).event_id for job_id in jobs]
    await store.close()
    older = "UPDATE jobs SET finish_number = -finish_number; UPDATE jobs SET finish_number = seq;"
    change(tmp_path / DATABASE_NAME, older)
    [step] = [each for each in known_migrations() if each.name == "0004_finish_numbers.sql"]

    change(tmp_path / DATABASE_NAME, step.sql)

    assert rows(tmp_path, "SELECT finish_number FROM jobs ORDER BY seq") == [(e,) for e in events]
