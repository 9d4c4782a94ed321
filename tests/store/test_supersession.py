"""A submission for a newer step of a series cancels the older jobs that wait."""

from pathlib import Path
from typing import Any

import pytest

from evalserver.core.job import Job, NewJob, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.request import SUPERSEDE, EvaluateRequest
from evalserver.store import Key, Store
from tests.store.test_jobs import PLENTY, claim
from tests.store.test_migrate import rows

RUN: dict[str, Any] = {"series": "run", "tasks": ("mme", "ai2d"), "limit": 8}


def new(
    job_id: str,
    step: int | None,
    submitter: str = "alice",
    engine: str = "lmms_eval",
    **fields: Any,
) -> NewJob:
    """A job of the series."""
    request = EvaluateRequest("dummy", **{**RUN, "step": step, **fields})
    return NewJob(job_id, engine, request, submitter)


def newer(job_id: str = "newer", step: int = 200, **fields: Any) -> NewJob:
    """A job that supersedes older ones."""
    return new(job_id, step, on_newer=SUPERSEDE, **fields)


async def read(store: Store, job_id: str) -> Job:
    return await store.queries.job(job_id)


async def cancelled(store: Store) -> list[str]:
    """The ids of the cancelled jobs, in the order of submission."""
    ids = sorted(
        [await read(store, job_id) for job_id in await store.queries.all_ids()],
        key=lambda job: job.seq,
    )
    return [job.job_id for job in ids if job.status is Status.CANCELLED]


async def test_a_newer_step_cancels_older_queued_jobs_of_its_series(store: Store) -> None:
    await store.jobs.submit_batch([new("first", 0), new("second", 100)])

    await store.jobs.submit(newer())

    assert await cancelled(store) == ["first", "second"]
    assert (await read(store, "newer")).status is Status.QUEUED


async def test_the_reason_names_the_successor(store: Store, tmp_path: Path) -> None:
    await store.jobs.submit(new("older", 100))

    await store.jobs.submit(newer())

    assert (await read(store, "older")).error == "Superseded by job newer of step 200"
    sql = (
        "SELECT event, actor, detail ->> 'superseded_by', detail ->> 'reason' FROM job_events"
        " WHERE job_id = 'older' ORDER BY event_id DESC LIMIT 1"
    )
    reason = "Superseded by job newer of step 200"
    assert rows(tmp_path, sql) == [("cancelled", "alice", "newer", reason)]


async def test_without_it_older_jobs_are_kept(store: Store) -> None:
    await store.jobs.submit(new("older", 100))

    await store.jobs.submit(new("newer", 200))

    assert await cancelled(store) == []


@pytest.mark.parametrize(
    "other",
    [
        {"series": "other"},
        {"series": None},
        {"submitter": "bob"},
        {"engine": "lm_eval"},
        {"tasks": ("mme",)},
        {"limit": 9},
        {"limit": None},
        {"step": 200},
        {"step": 300},
        {"step": None},
    ],
    ids=str,
)
async def test_a_job_that_differs_is_kept(store: Store, other: dict[str, Any]) -> None:
    await store.jobs.submit(new("other", **{"step": 100, **other}))

    await store.jobs.submit(newer())

    assert await cancelled(store) == []


@pytest.mark.parametrize(
    ("older", "later"), [({"limit": None}, {"limit": -1}), ({}, {"tasks": ("ai2d", "mme")})]
)
async def test_what_means_the_same_is_the_same(
    store: Store, older: dict[str, Any], later: dict[str, Any]
) -> None:
    await store.jobs.submit(new("older", 100, **older))

    await store.jobs.submit(newer(**later))

    assert await cancelled(store) == ["older"]


async def test_what_runs_or_has_finished_is_kept(store: Store) -> None:
    await store.jobs.submit_batch([new("done", 1), new("running", 2)])
    await claim(store, "done")
    await store.jobs.finish("done", Outcome(Status.FAILED, "2030", error="x"), PLENTY)
    await claim(store, "running")

    await store.jobs.submit(newer())

    assert (await read(store, "done")).status is Status.FAILED
    assert (await read(store, "running")).status is Status.RUNNING


async def test_a_job_on_a_cluster_is_to_be_cancelled_there_and_ends_with_the_reason(
    store: Store, tmp_path: Path
) -> None:
    await store.jobs.submit(new("older", 100))
    await store.jobs.hand_over(await read(store, "older"), Path("run-1"), Path("output"))

    await store.jobs.submit(newer())

    assert (await read(store, "older")).status is Status.QUEUED
    assert [job.job_id for job in await store.queries.to_cancel_on_clusters()] == ["older"]
    await store.jobs.finish("older", Outcome(Status.CANCELLED, "2030"), PLENTY)
    assert (await read(store, "older")).error == "Superseded by job newer of step 200"
    sql = "SELECT event, detail ->> 'superseded_by' FROM job_events WHERE job_id = 'older'"
    assert rows(tmp_path, f"{sql} ORDER BY event_id") == [
        ("submitted", None),
        ("handed_over", None),
        ("cancel_requested", "newer"),
        ("cancelled", "newer"),
    ]


async def test_a_job_that_somebody_cancels_on_a_cluster_ends_with_no_other_reason(
    store: Store,
) -> None:
    await store.jobs.submit(new("older", 100))
    await store.jobs.hand_over(await read(store, "older"), Path("run-1"), Path("output"))
    await store.jobs.request_cancel("older", "bob")

    await store.jobs.submit(newer())
    await store.jobs.finish("older", Outcome(Status.CANCELLED, "2030"), PLENTY)

    assert (await read(store, "older")).error is None


async def test_a_retried_job_forgets_that_it_was_superseded(store: Store) -> None:
    await store.jobs.submit(new("older", 100))
    await store.jobs.submit(newer())

    await store.jobs.retry("older", "alice")

    job = await read(store, "older")
    assert (job.status, job.error) == (Status.QUEUED, None)


async def test_a_batch_is_as_if_its_jobs_were_submitted_one_after_another(store: Store) -> None:
    batch = [newer(str(step), step) for step in (300, 100, 200, *range(400, 500))]

    await store.jobs.submit_batch(batch)

    queued = {job_id for job_id in await store.queries.all_ids()} - set(await cancelled(store))
    assert queued == {"499"}


async def test_an_older_step_of_a_batch_that_comes_later_is_kept(store: Store) -> None:
    await store.jobs.submit_batch([newer("300", 300), newer("100", 100)])

    assert await cancelled(store) == []


async def test_a_repeated_submission_supersedes_nothing_again(store: Store) -> None:
    key = Key("key", "alice", "hash")
    await store.jobs.submit(new("older", 100))
    first = await store.jobs.submit_once(newer(), key, str)
    await store.jobs.submit(new("another", 100))

    again = await store.jobs.submit_once(newer("repeated"), key, str)

    assert (first.answer, again.answer, again.again) == ("0", "0", True)
    assert await cancelled(store) == ["older"]
