"""Batches in the store: jobs that are queued together, all of them or none."""

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from evalserver.core.job import NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import (
    DATABASE_NAME,
    Answered,
    BatchNotFound,
    CommittedEvent,
    JobFilter,
    Key,
    KeyReused,
    Store,
    StoreUnavailable,
    snapshot,
    verify_log,
)
from evalserver.store.submission import MAX_STATEMENT
from tests.store.test_jobs import PLENTY, claim, completed
from tests.store.test_listing import listed, opened
from tests.store.test_migrate import contents, rows

MANY = 2 * MAX_STATEMENT + 1
KEY = Key("k", "alice", "hash")


def batch(count: int = 3, name: str = "b") -> list[NewJob]:
    """The jobs of a batch."""
    request = EvaluateRequest("dummy", ("mme",))
    return [
        NewJob(f"{name}-{n:04}", "lmms_eval", request, "alice", batch_id=name) for n in range(count)
    ]


def ids(jobs: list[NewJob]) -> list[str]:
    """The ids of jobs."""
    return [job.job_id for job in jobs]


def slow(_: CommittedEvent) -> None:
    """A listener that takes so long that other work is done between the events of a batch."""
    time.sleep(0.001)


async def test_the_jobs_of_a_batch_are_queued_in_its_order(store: Store) -> None:
    await store.jobs.submit_batch(batch(MANY))

    assert [job.job_id for job in await store.queries.queued()] == ids(batch(MANY))


async def test_the_log_of_a_batch_is_sound(store: Store, tmp_path: Path) -> None:
    await store.jobs.submit_batch(batch(MANY))

    with snapshot(tmp_path / DATABASE_NAME) as opened_database:
        assert verify_log(opened_database).problem is None


async def test_listeners_hear_of_each_job_before_the_submitter(store: Store) -> None:
    heard: list[str] = []
    store.subscribe(lambda event: heard.append(event.job_id))

    await store.jobs.submit_batch(batch(MANY))

    assert heard == ids(batch(MANY))


async def test_events_are_heard_in_the_order_of_the_audit_log(store: Store) -> None:
    heard: list[int] = []
    store.subscribe(slow)
    store.subscribe(lambda event: heard.append(event.event_id))

    first = asyncio.create_task(store.jobs.submit_batch(batch(MANY, "a")))
    while not heard:
        await asyncio.sleep(0)
    await store.jobs.submit_batch(batch(MANY, "b"))
    await first

    assert heard == [*range(1, 2 * MANY + 1)]


async def test_closing_the_store_waits_until_all_events_were_heard(tmp_path: Path) -> None:
    heard: list[str] = []
    async with opened(tmp_path) as store:
        store.subscribe(slow)
        store.subscribe(lambda event: heard.append(event.job_id))
        submitted = asyncio.create_task(store.jobs.submit_batch(batch(MANY)))
        await asyncio.sleep(0)
        await store._writer.close()
        heard_at_the_end = list(heard)
        await submitted

    assert heard_at_the_end == ids(batch(MANY))


async def test_a_batch_with_a_job_that_exists_changes_nothing(store: Store, tmp_path: Path) -> None:
    [*_, last] = batch(MANY)
    await store.jobs.submit(last)
    before = contents(tmp_path)

    with pytest.raises(sqlite3.IntegrityError):
        await store.jobs.submit_batch_once(batch(MANY), KEY, "answer")

    assert contents(tmp_path) == before


async def test_a_failed_batch_does_not_affect_what_is_written_with_it(store: Store) -> None:
    twice = [*batch(MANY), *batch(1)]
    single = batch(1, "single")

    failed, _ = await asyncio.gather(
        store.jobs.submit_batch(twice), store.jobs.submit(single[0]), return_exceptions=True
    )

    assert isinstance(failed, sqlite3.IntegrityError)
    assert [job.job_id for job in await store.queries.queued()] == ids(single)


@pytest.mark.parametrize("statement", [1, 2, 5, 9])
async def test_a_batch_that_is_killed_while_it_is_written_leaves_nothing(
    tmp_path: Path, statement: int
) -> None:
    seen, remains = 0, tmp_path / "remains"
    folder = tmp_path / "data"
    folder.mkdir()
    store = await Store.open(folder)

    def copy(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            shutil.copytree(folder, remains)

    # Called by SQLite between two statements, when nothing writes to the files.
    store._connection.set_trace_callback(copy)
    await store.jobs.submit_batch_once(batch(MANY), KEY, "answer")
    await store.close()

    async with opened(remains) as left:
        assert await left.queries.all_ids() == set()
        assert not await left.jobs.was_answered(KEY)


async def test_a_batch_on_a_full_disk_changes_nothing(store: Store, tmp_path: Path) -> None:
    before = contents(tmp_path)
    [pages] = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 4}")

    with pytest.raises(StoreUnavailable, match="full"):
        await store.jobs.submit_batch_once(batch(MANY), KEY, "answer")

    assert contents(tmp_path) == before


async def test_a_repeated_key_gets_the_original_answer(store: Store, tmp_path: Path) -> None:
    await store.jobs.submit_batch_once(batch(), KEY, "first")
    before = contents(tmp_path)

    again = await store.jobs.submit_batch_once(batch(2, "c"), KEY, "second")

    assert again == Answered("first", again=True)
    assert contents(tmp_path) == before


async def test_a_key_reused_for_another_batch_is_rejected(store: Store) -> None:
    await store.jobs.submit_batch_once(batch(), KEY, "first")

    with pytest.raises(KeyReused):
        await store.jobs.submit_batch_once(batch(2, "c"), Key("k", "alice", "other"), "second")


async def test_jobs_are_found_by_their_batch(store: Store) -> None:
    await store.jobs.submit_batch(batch(3, "a"))
    await store.jobs.submit_batch(batch(3, "b"))

    assert await listed(store, JobFilter(batch_id="a")) == ids(batch(3, "a"))[::-1]


async def test_a_batch_counts_running_finished_and_pruned_jobs(store: Store) -> None:
    await store.jobs.submit_batch(batch(4))
    await store.jobs.cancel_queued("b-0001", "bob", PLENTY)
    await store.jobs.cancel_queued("b-0002", "bob", keep=1)
    await claim(store, "b-0000")

    found = await store.batches.batch("b")

    assert {status: count for status, count in found.counts.items() if count} == {
        Status.QUEUED: 1, Status.RUNNING: 1, Status.CANCELLED: 2,
    }  # fmt: skip
    assert (found.pruned, found.is_finished, found.submitted_by) == (1, False, "alice")


async def test_a_batch_is_finished_once_all_its_jobs_are(store: Store) -> None:
    await store.jobs.submit_batch(batch(2))
    await store.jobs.cancel_queued_among(ids(batch(2)), "bob", PLENTY)

    assert (await store.batches.batch("b")).is_finished


async def test_a_batch_whose_jobs_were_erased_is_not_found(store: Store) -> None:
    await store.jobs.submit_batch(batch(1))
    await store.jobs.cancel_queued("b-0000", "bob", PLENTY)
    await store.jobs.erase("b-0000", "admin")

    with pytest.raises(BatchNotFound):
        await store.batches.batch("b")


async def test_only_queued_jobs_are_cancelled_together(store: Store) -> None:
    await store.jobs.submit_batch(batch(3))
    await claim(store, "b-0000")

    done = await store.jobs.cancel_queued_among([*ids(batch(3)), "unknown"], "bob", PLENTY)

    assert done.cancelled == ["b-0001", "b-0002"]
    assert (await store.queries.job("b-0000")).status is Status.RUNNING


async def test_jobs_that_are_cancelled_together_are_pruned_together(
    store: Store, tmp_path: Path
) -> None:
    await store.jobs.submit_batch(batch(3))

    done = await store.jobs.cancel_queued_among(ids(batch(3)), "bob", keep=1)

    assert done.pruned == ["b-0000", "b-0001"]
    assert rows(tmp_path, "SELECT batch_id FROM pruned_jobs") == [("b",), ("b",)]


async def test_results_of_a_batch_have_pruned_jobs_in_the_order_of_submission(
    store: Store,
) -> None:
    await store.jobs.submit_batch(batch(3))
    for job_id in ids(batch(2)):
        await claim(store, job_id)
        await store.jobs.finish(job_id, completed(), PLENTY)
    await store.jobs.prune(1)

    results = await store.batches.results("b", 10)

    assert [each.job_id for each in results] == ["b-0000", "b-0001"]
    assert [each.job_id for each in await store.batches.results("b", 10, results[0].seq)] == [
        "b-0001"
    ]


async def test_batches_are_listed_the_newest_first_also_pruned_ones(store: Store) -> None:
    for name in ("a1", "b1", "c1"):
        await store.jobs.submit_batch(batch(2, name))
    await store.jobs.cancel_queued_among(ids(batch(2, "b1")), "bob", keep=0)

    assert await store.batches.newest_ids(10) == ["c1", "b1", "a1"]
    assert await store.batches.newest_ids(2) == ["c1", "b1"]


@pytest.mark.parametrize(
    ("part", "found"), [("ab", ["abx"]), ("yx", ["zyx"]), ("x", ["zyx", "abx"]), ("bx2", [])]
)
async def test_batches_are_found_by_the_beginning_or_the_end_of_their_id(
    store: Store, part: str, found: list[str]
) -> None:
    await store.jobs.submit_batch(batch(2, "abx"))
    await store.jobs.submit_batch(batch(2, "zyx"))

    assert await store.batches.newest_ids(10, part) == found
