"""Accounting: every attempt that ends has one row, also when its job is pruned, until an erase."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.clock import timestamp
from evalserver.core.job import Outcome
from evalserver.core.lifecycle import Status
from evalserver.store import DATABASE_NAME, Period, Store, Usage, UsageBy
from tests.store.test_jobs import PLENTY, claim, completed, start, submit
from tests.store.test_migrate import change, rows

ALWAYS = Period()


def usage_rows(folder: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    """The table's rows, in the order in which the attempts ended."""
    return rows(folder, f"SELECT {columns} FROM gpu_usage ORDER BY ended_at")  # noqa: S608


async def end(store: Store, job_id: str, seconds: float, status: Status = Status.CANCELLED) -> str:
    """End the running attempt so long after its start; returns the time."""
    job = await store.queries.job(job_id)
    assert job.started_at is not None
    ended = timestamp(datetime.fromisoformat(job.started_at) + timedelta(seconds=seconds))
    outcome = Outcome(status, ended, error="x" if status is Status.FAILED else None)
    await store.jobs.finish(job_id, outcome, PLENTY)
    return ended


async def used(store: Store, seconds: float, **request: Any) -> str:
    """A job that ran so long; returns its id."""
    job_id = await start(store, **request)
    await end(store, job_id, seconds)
    return job_id


async def test_an_ended_attempt_has_a_row(store: Store, tmp_path: Path) -> None:
    job_id = await start(store, num_gpus=4, series="run")
    started = (await store.queries.job(job_id)).started_at
    assert usage_rows(tmp_path) == []

    ended = await end(store, job_id, 30, Status.FAILED)

    assert usage_rows(tmp_path) == [
        (job_id, 1, "alice", "lmms_eval", "dummy", "run", 4, started, ended, pytest.approx(30))
    ]


async def test_a_completed_attempt_counts_to_the_end_of_its_outcome(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)
    outcome = completed()

    await store.jobs.finish(job_id, outcome, PLENTY)

    assert usage_rows(tmp_path, "ended_at") == [(outcome.completed_at,)]


async def test_every_attempt_has_a_row_of_its_own(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    await store.jobs.interrupt(job_id, "lost")
    await claim(store, job_id)
    await end(store, job_id, 1)
    await store.jobs.retry(job_id, "bob")
    await claim(store, job_id)
    await end(store, job_id, 2)

    assert sorted(usage_rows(tmp_path, "attempt")) == [(1,), (2,), (3,)]


async def test_an_interrupted_attempt_counts_to_its_event(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)

    await store.jobs.interrupt(job_id, "lost")

    event = rows(tmp_path, "SELECT at FROM job_events WHERE event = 'interrupted'")
    assert usage_rows(tmp_path, "ended_at") == event


async def test_a_job_that_never_ran_used_nothing(store: Store, tmp_path: Path) -> None:
    job_id = await submit(store)

    await store.jobs.cancel_queued(job_id, "bob", PLENTY)

    assert usage_rows(tmp_path) == []


@pytest.mark.parametrize(
    ("held", "counted"),
    [(None, 2), (["GPU-a", "GPU-b", "GPU-c"], 3), ([], 0)],
)
async def test_the_gpus_that_the_attempt_got_count(
    store: Store, tmp_path: Path, held: list[str] | None, counted: int
) -> None:
    """Or those that the request names, where the server manages none."""
    job_id = await start(store, num_gpus=2)
    if held is not None:
        sql = f"UPDATE jobs SET gpus = '{json.dumps(held)}'"  # noqa: S608 - of this test
        change(tmp_path / DATABASE_NAME, sql)

    await end(store, job_id, 1)

    assert usage_rows(tmp_path, "gpus") == [(counted,)]


async def test_a_clock_that_was_set_back_gives_no_negative_time(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)

    await end(store, job_id, -3600)

    assert usage_rows(tmp_path, "seconds") == [(0.0,)]


@pytest.mark.parametrize(
    ("damage", "counted"),
    [("request = '{'", 0), ("""request = '{"num_gpus":[]}'""", 0), ("gpus = '['", 1)],
)
async def test_a_damaged_column_does_not_keep_a_job_from_ending(
    store: Store, tmp_path: Path, damage: str, counted: int
) -> None:
    job_id = await start(store)
    sql = f"PRAGMA ignore_check_constraints = ON; UPDATE jobs SET {damage};"  # noqa: S608
    change(tmp_path / DATABASE_NAME, sql)

    await store.jobs.interrupt(job_id, "lost")

    assert usage_rows(tmp_path, "gpus") == [(counted,)]


async def test_the_rows_of_a_pruned_job_stay_until_it_is_erased(
    store: Store, tmp_path: Path
) -> None:
    job_id, other = await used(store, 5), await used(store, 6)

    await store.jobs.prune_job(job_id, "bob")
    assert sorted(usage_rows(tmp_path, "job_id")) == sorted([(job_id,), (other,)])

    await store.jobs.erase(job_id, "bob")
    assert usage_rows(tmp_path, "job_id") == [(other,)]


async def test_usage_is_summed_by_each_key(store: Store) -> None:
    big = await used(store, 10, num_gpus=4, model="big", series="run")
    small = await used(store, 20, model="small")
    month = timestamp(datetime.now(UTC))[:7]

    async def by(key: UsageBy) -> list[Usage]:
        found = (await store.usage.summary(key, ALWAYS, 10)).rows
        return [
            replace(each, seconds=round(each.seconds), gpu_seconds=round(each.gpu_seconds))
            for each in found
        ]

    assert await by(UsageBy.JOB) == [Usage(big, 1, 10, 40), Usage(small, 1, 20, 20)]
    assert await by(UsageBy.MODEL) == [Usage("big", 1, 10, 40), Usage("small", 1, 20, 20)]
    assert await by(UsageBy.SERIES) == [Usage("run", 1, 10, 40), Usage(None, 1, 20, 20)]
    assert await by(UsageBy.TOKEN) == [Usage("alice", 2, 30, 60)]
    assert await by(UsageBy.MONTH) == [Usage(month, 2, 30, 60)]


async def test_what_is_beyond_the_limit_is_in_the_total(store: Store) -> None:
    for seconds in (1, 2, 3):
        await used(store, seconds)

    found = await store.usage.summary(UsageBy.JOB, ALWAYS, 1)

    assert [round(row.seconds) for row in found.rows] == [3]
    assert (found.groups, found.total.attempts, round(found.total.seconds)) == (3, 3, 6)


async def test_an_attempt_belongs_to_the_period_in_which_it_ended(store: Store) -> None:
    job_id = await start(store)
    ended = await end(store, job_id, 3600)
    later = timestamp(datetime.fromisoformat(ended) + timedelta(milliseconds=1))

    async def attempts(since: str | None, until: str | None) -> int:
        return (await store.usage.summary(UsageBy.TOKEN, Period(since, until), 1)).total.attempts

    assert await attempts(ended, later) == await attempts(ended, None) == 1
    assert await attempts(None, ended) == await attempts(later, None) == 0


async def test_no_usage_is_a_total_of_zero(store: Store) -> None:
    found = await store.usage.summary(UsageBy.MONTH, ALWAYS, 10)

    assert (found.rows, found.groups, found.total) == ([], 0, Usage(None, 0, 0.0, 0.0))


async def test_the_view_sums_by_month_for_auditors(store: Store, tmp_path: Path) -> None:
    await used(store, 10, num_gpus=4)
    month = timestamp(datetime.now(UTC))[:7]

    view = rows(tmp_path, "SELECT * FROM gpu_seconds_by_month")

    assert view == [(month, "alice", None, "dummy", 1, 10.0, 40.0)]
