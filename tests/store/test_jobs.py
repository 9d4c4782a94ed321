"""The store's operations on jobs, and its queries."""

import itertools
import json
import sqlite3
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.clock import timestamp
from evalserver.core.job import Metric, NewJob, Outcome, Slot
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import IllegalTransition, JobNotFound, JobPruned, Store, attempts
from tests.store.test_migrate import contents, events_of, rows

PLENTY = 1000
ACCURACY = Metric("mme", "acc", "none", 0.5, 0.01, 100, True)
_ended = itertools.count()


async def submit(store: Store, **request: Any) -> str:
    """Submit a job; returns its id."""
    values = {"model": "dummy", "tasks": ("mme",), **request}
    job = NewJob(str(uuid.uuid4()), "lmms_eval", EvaluateRequest(**values), "alice")
    await store.jobs.submit(job)
    return job.job_id


async def start(store: Store, **request: Any) -> str:
    """Submit a job and claim it; returns its id."""
    job_id = await submit(store, **request)
    await claim(store, job_id)
    return job_id


async def claim(store: Store, job_id: str) -> None:
    """Claim the next attempt of a job, whatever is queued ahead of it."""
    attempt = (await store.queries.job(job_id)).attempt + 1
    claim = attempts.Claim(
        job_id, store.jobs._now(), f"run-{attempt}", "output", after_event=sys.maxsize
    )
    await store._writer.run(lambda tx: attempts.claim(tx, claim, attempt))


async def complete(store: Store, keep: int = PLENTY, **request: Any) -> str:
    """Submit, run and complete a job; returns its id."""
    job_id = await start(store, **request)
    await store.jobs.finish(job_id, completed(), keep)
    return job_id


def completed(*metrics: Metric) -> Outcome:
    """A successful outcome, later than all previous ones."""
    moment = timestamp(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(milliseconds=next(_ended)))
    result: dict[str, Any] = {"dummy": {"metrics": {}}}
    return Outcome(Status.COMPLETED, moment, 0, result=result, metrics=metrics)


async def test_a_submitted_job_is_queued_with_its_full_request(store: Store) -> None:
    tasks, labels = ("mme", "gsm8k"), {"team": "ä"}
    request = EvaluateRequest("dummy", tasks, {"a": 1.5}, limit=0.25, labels=labels, priority=-3)

    await store.jobs.submit(NewJob("the-id", "lmms_eval", request, "alice"))

    job = await store.queries.job("the-id")
    assert (job.status, job.attempt, job.submitted_by) == (Status.QUEUED, 0, "alice")
    assert job.request == request


async def test_the_same_id_cannot_be_submitted_twice(store: Store, tmp_path: Path) -> None:
    job = NewJob("the-id", "lmms_eval", EvaluateRequest("dummy", ("mme",)), "alice")
    await store.jobs.submit(job)
    before = contents(tmp_path)

    with pytest.raises(sqlite3.IntegrityError):
        await store.jobs.submit(job)

    assert contents(tmp_path) == before


async def test_the_queue_is_ordered_by_submission_within_a_priority(store: Store) -> None:
    low = await submit(store, priority=-1)
    first = await submit(store)
    second = await submit(store)
    high = await submit(store, priority=7)

    queue = await store.queries.queued()

    assert [job_id for job_id, *_ in queue] == [high, first, second, low]


async def test_a_claimed_job_runs_its_first_attempt(store: Store) -> None:
    job_id = await start(store)

    [job] = await store.queries.running()

    assert (job.job_id, job.attempt, job.run_dir) == (job_id, 1, "run-1")
    assert job.started_at is not None
    assert await store.queries.queued() == []


async def test_a_finished_job_has_its_outcome(store: Store) -> None:
    job_id = await start(store)
    outcome = Outcome(Status.FAILED, "2030-01-01T00:00:00.000+00:00", 3, "it broke\nhere")

    await store.jobs.finish(job_id, outcome, PLENTY)

    job = await store.queries.job(job_id)
    found = Outcome(job.status, str(job.completed_at), job.exit_code, job.error, job.result)
    assert found == outcome


async def test_finishing_writes_the_metrics(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    loss = Metric("mme", "loss", "none", 2.0, None, None, None)

    await store.jobs.finish(job_id, completed(ACCURACY, loss), PLENTY)

    assert rows(tmp_path, "SELECT * FROM metrics ORDER BY metric") == [
        (job_id, "mme", "acc", "none", 0.5, 0.01, 100, 1, None, None),
        (job_id, "mme", "loss", "none", 2.0, None, None, None, None, None),
    ]


async def test_a_cancelled_queued_job_leaves_the_queue(store: Store, tmp_path: Path) -> None:
    job_id = await submit(store)

    await store.jobs.cancel_queued(job_id, "bob", PLENTY)

    assert (await store.queries.job(job_id)).status is Status.CANCELLED
    assert await store.queries.queued() == []
    assert events_of(tmp_path, job_id) == [("submitted", "alice"), ("cancelled", "bob")]


async def test_cancelling_a_queued_job_also_prunes(store: Store) -> None:
    old = await complete(store)
    job_id = await submit(store)

    pruned = await store.jobs.cancel_queued(job_id, "bob", keep=1)

    assert pruned == [old]
    assert await store.queries.all_ids() == {job_id}


async def test_a_cancel_of_a_running_job_is_recorded_and_the_job_continues(store: Store) -> None:
    job_id = await start(store)

    await store.jobs.request_cancel(job_id, "bob")

    job = await store.queries.job(job_id)
    assert job.status is Status.RUNNING
    assert job.cancel_requested_at is not None


async def test_a_job_is_not_claimed_while_another_is_ahead_of_it(store: Store) -> None:
    job = await store.queries.job(await submit(store))
    urgent = await submit(store, priority=1)

    with pytest.raises(IllegalTransition, match=f"{urgent} is before it"):
        await store.jobs.claim(job, Path("run"), Path("output"))

    assert (await store.queries.job(job.job_id)).status is Status.QUEUED


async def test_an_interrupted_job_gets_its_position_back(store: Store) -> None:
    interrupted = await start(store)
    later = await submit(store)

    await store.jobs.interrupt(interrupted, "the runner vanished")

    assert [job_id for job_id, *_ in await store.queries.queued()] == [interrupted, later]


async def test_the_attempt_after_an_interruption_is_the_next_one(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.interrupt(job_id, "the runner vanished")

    await claim(store, job_id)

    job = await store.queries.job(job_id)
    assert (job.attempt, job.run_dir) == (2, "run-2")


async def test_a_postponed_job_gets_its_position_back_and_its_attempt_does_not_count(
    store: Store,
) -> None:
    job_id = await start(store)
    later = await submit(store)
    before = await store.queries.job(job_id)

    await store.jobs.postpone(job_id, "its preparation took too long")

    job = await store.queries.job(job_id)
    assert [each.job_id for each in await store.queries.queued()] == [job_id, later]
    assert job.max_attempts - job.attempt == before.max_attempts - before.attempt + 1


async def test_a_job_that_is_to_be_cancelled_is_not_postponed(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.request_cancel(job_id, "bob")

    with pytest.raises(IllegalTransition):
        await store.jobs.postpone(job_id, "its preparation took too long")


async def test_the_last_claim_says_until_when_the_harness_must_start(store: Store) -> None:
    job_id = await submit(store)
    slot = Slot(start_by=4242.5)
    await store.jobs.claim(await store.queries.job(job_id), Path("run"), Path("out"), slot)
    first = await store.queries.start_by(job_id)
    await store.jobs.interrupt(job_id, "lost")
    await claim(store, job_id)

    assert (first, await store.queries.start_by(job_id)) == (4242.5, None)


async def test_a_stale_record_does_not_start_an_attempt_twice(store: Store, tmp_path: Path) -> None:
    job_id = await submit(store)
    old = await store.queries.job(job_id)
    await claim(store, job_id)
    await store.jobs.interrupt(job_id, "the runner vanished")
    before = contents(tmp_path)

    with pytest.raises(IllegalTransition, match=job_id):
        await store.jobs.claim(old, Path("run-1"), Path("output"))

    assert contents(tmp_path) == before


async def test_a_reattached_job_continues_the_same_attempt(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    before = await store.queries.job(job_id)

    await store.jobs.reattach(job_id)

    assert await store.queries.job(job_id) == replace(before, event_id=before.event_id + 1)
    assert events_of(tmp_path, job_id)[-1] == ("reattached", "server")


async def test_an_unknown_job_is_not_found(store: Store) -> None:
    with pytest.raises(JobNotFound, match="no-such-job"):
        await store.queries.job("no-such-job")


async def test_pruning_keeps_the_newest_finished_jobs(store: Store) -> None:
    old, middle, new = [await complete(store) for _ in range(3)]
    open_jobs = {await submit(store), await start(store)}

    pruned = await store.jobs.prune(keep=1)

    assert pruned == [old, middle]
    assert await store.queries.all_ids() == {new, *open_jobs}


async def test_finishing_a_job_prunes_the_oldest(store: Store) -> None:
    old = await complete(store)
    job_id = await start(store)

    pruned = await store.jobs.finish(job_id, completed(), keep=1)

    assert pruned == [old]


async def test_the_last_finished_job_is_kept_when_the_clock_was_set_back(
    store: Store,
) -> None:
    yesterday = Outcome(Status.FAILED, "2001-01-01T00:00:00.000+00:00", 1, "it broke")
    old, new = await complete(store), await start(store)

    pruned = await store.jobs.finish(new, yesterday, keep=1)

    assert pruned == [old]


async def test_a_job_with_a_higher_priority_precedes_earlier_submissions(
    store: Store,
) -> None:
    first, second = await submit(store), await submit(store)

    await store.jobs.prioritize(second, 1, "bob")

    assert [queued for queued, *_ in await store.queries.queued()] == [second, first]


async def test_the_audit_log_records_the_old_and_new_priority(store: Store, tmp_path: Path) -> None:
    job_id = await submit(store)

    await store.jobs.prioritize(job_id, 5, "bob")
    await store.jobs.prioritize(job_id, 5, "carol")

    [event] = rows(tmp_path, "SELECT actor, detail FROM job_events WHERE event = 'prioritized'")
    assert (event[0], json.loads(event[1])) == ("bob", {"before": 0, "after": 5})


async def test_the_priority_of_a_running_job_cannot_be_changed(store: Store) -> None:
    job_id = await start(store)

    with pytest.raises(IllegalTransition):
        await store.jobs.prioritize(job_id, 1, "bob")


async def test_a_retried_job_returns_to_its_original_queue_position(store: Store) -> None:
    job_id = await start(store, max_attempts=3)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)
    later = await submit(store)

    await store.jobs.retry(job_id, "bob")

    job = await store.queries.job(job_id)
    assert [queued for queued, *_ in await store.queries.queued()] == [job_id, later]
    assert (job.status, job.attempt, job.completed_at) == (Status.QUEUED, 1, None)
    assert (job.exit_code, job.error, job.result, job.provenance) == (None, None, None, None)


async def test_a_retried_job_gets_its_original_number_of_attempts(
    store: Store,
) -> None:
    job_id = await complete(store, max_attempts=3)

    await store.jobs.retry(job_id, "bob")

    assert (await store.queries.job(job_id)).max_attempts == 1 + 3


async def test_the_audit_log_keeps_the_outcome_of_a_retried_job(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)
    numbers = {"mme": {"acc,none": 0.5}}
    ended = replace(completed(ACCURACY), result={"dummy": {"metrics": numbers}})
    await store.jobs.finish(job_id, ended, PLENTY)

    await store.jobs.retry(job_id, "bob")

    ((actor, detail),) = rows(
        tmp_path, "SELECT actor, detail FROM job_events WHERE event = 'retried'"
    )
    assert actor == "bob"
    assert json.loads(detail) == {
        "completed_at": ended.completed_at,
        "exit_code": 0,
        "error": None,
        "metrics": {"dummy": numbers},
    }


async def test_a_retried_job_has_no_metrics_until_it_completes_again(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    await store.jobs.retry(job_id, "bob")

    assert rows(tmp_path, "SELECT * FROM metrics") == []


async def test_a_retried_job_is_not_pruned(store: Store) -> None:
    retried, finished = await complete(store), await complete(store)
    await store.jobs.retry(retried, "bob")

    pruned = await store.jobs.prune(keep=0)

    assert pruned == [finished]


async def test_pruning_keeps_the_metrics(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    await store.jobs.prune(keep=0)

    assert await store.queries.metrics(job_id) == [ACCURACY]


async def test_a_pruned_job_is_distinguished_from_an_unknown_one(store: Store) -> None:
    job_id = await complete(store, keep=0)

    with pytest.raises(JobPruned, match=job_id):
        await store.queries.job(job_id)


async def test_jobs_are_counted_by_status(store: Store) -> None:
    await submit(store)
    await start(store)
    await complete(store)
    await complete(store)

    counts = await store.queries.count_by_status()

    assert [(status.value, n) for status, n in counts.items()] == [
        ("queued", 1), ("running", 1), ("completed", 2), ("failed", 0), ("cancelled", 0)
    ]  # fmt: skip
