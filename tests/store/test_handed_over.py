"""Jobs that are handed over to a cluster."""

from dataclasses import replace
from pathlib import Path

import pytest

from evalserver.core.job import NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import IllegalTransition, Store
from tests.store.test_jobs import ACCURACY, PLENTY, completed, submit
from tests.store.test_migrate import events_of


@pytest.fixture
async def waiting(store: Store) -> str:
    """A job that was handed over to a cluster, and has not started."""
    job_id = await submit(store)
    await hand_over(store, job_id)
    return job_id


async def hand_over(store: Store, job_id: str) -> None:
    """Begin an attempt of the first job of the queue on a cluster."""
    await store.jobs.hand_over(await store.queries.job(job_id), Path("run-1"), Path("output"))


async def test_a_job_that_was_handed_over_is_queued_and_has_an_attempt(
    store: Store, waiting: str
) -> None:
    job = await store.queries.job(waiting)

    assert (job.status, job.attempt, job.run_dir) == (Status.QUEUED, 1, "run-1")
    assert job.handed_over_at is not None
    assert job.started_at is None


async def test_a_job_that_was_handed_over_is_not_in_the_queue_any_more(
    store: Store, waiting: str
) -> None:
    assert await store.queries.queued() == []
    assert [job.job_id for job in await store.queries.handed_over()] == [waiting]


async def test_a_job_is_not_handed_over_twice(store: Store, waiting: str) -> None:
    with pytest.raises(IllegalTransition, match="was handed over"):
        await hand_over(store, waiting)


async def test_a_job_that_was_handed_over_runs_from_its_own_first_sign_on(
    store: Store, waiting: str
) -> None:
    await store.jobs.start(waiting, "2030-01-01T00:00:07.000+00:00")

    job = await store.queries.job(waiting)
    assert (job.status, job.started_at) == (Status.RUNNING, "2030-01-01T00:00:07.000+00:00")


async def test_an_attempt_that_was_put_back_is_not_started_again(
    store: Store, waiting: str
) -> None:
    await store.jobs.start(waiting, "2030-01-01T00:00:07.000+00:00")
    await store.jobs.postpone(waiting, "it was late")

    with pytest.raises(IllegalTransition, match="is not waiting on a cluster"):
        await store.jobs.start(waiting, "2030-01-01T00:00:08.000+00:00")


async def test_a_job_that_was_not_handed_over_cannot_start_on_a_cluster(store: Store) -> None:
    with pytest.raises(IllegalTransition, match="not waiting on a cluster"):
        await store.jobs.start(await submit(store), "2030-01-01T00:00:07.000+00:00")


async def test_cancel_of_a_job_that_was_handed_over_is_a_request(
    store: Store, waiting: str
) -> None:
    with pytest.raises(IllegalTransition, match="was handed over"):
        await store.jobs.cancel_queued(waiting, "bob", PLENTY)

    await store.jobs.request_cancel(waiting, "bob")

    job = await store.queries.job(waiting)
    assert (job.status, job.cancel_requested_at is not None) == (Status.QUEUED, True)


async def test_what_started_and_ended_between_two_looks_gets_both_events_at_once(
    store: Store, tmp_path: Path, waiting: str
) -> None:
    outcome = replace(completed(ACCURACY), started_at="2030-01-01T00:00:07.000+00:00")

    await store.jobs.finish(waiting, outcome, PLENTY)

    events = [event for event, _ in events_of(tmp_path, waiting)]
    assert events == ["submitted", "handed_over", "started", "completed"]
    assert (await store.queries.job(waiting)).started_at == "2030-01-01T00:00:07.000+00:00"


async def test_a_job_whose_attempt_on_a_cluster_was_lost_is_in_the_queue_again(
    store: Store, waiting: str
) -> None:
    await store.jobs.interrupt(waiting, "the node failed")

    job = await store.queries.job(waiting)
    assert (job.handed_over_at, job.attempt) == (None, 1)
    assert [job_id for job_id, *_ in await store.queries.queued()] == [waiting]


async def test_unfinished_jobs_are_counted_by_their_executor(store: Store) -> None:
    request = EvaluateRequest("dummy", ("mme",))
    there = NewJob("there", "lmms_eval", request, "alice", executor="cluster")
    await store.jobs.submit(there)
    here = await submit(store)

    assert await store.queries.unfinished_by_executor() == {"cluster": ["there"], "local": [here]}
