"""Concurrent submissions are written in one batch."""

import asyncio
import sqlite3
from pathlib import Path

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import DATABASE_NAME, Store, snapshot, verify_log
from evalserver.store.submission import MAX_STATEMENT, MAX_STATEMENT_BYTES
from tests.store.test_jobs import submit
from tests.store.test_migrate import read

MANY = 2 * MAX_STATEMENT + 1


async def submit_as(store: Store, job_id: str) -> None:
    """Submit a job with this id."""
    await store.jobs.submit(
        NewJob(job_id, "lmms_eval", EvaluateRequest("dummy", ("mme",)), "alice")
    )


async def test_concurrent_submissions_are_queued_in_order_of_arrival(
    store: Store,
) -> None:
    await asyncio.gather(*(submit_as(store, f"job {n}") for n in range(MANY)))

    queued = await store.queries.queued()
    assert [job_id for job_id, *_ in queued] == [f"job {n}" for n in range(MANY)]


async def test_large_requests_are_queued_in_order_of_arrival(store: Store) -> None:
    large = EvaluateRequest("dummy", ("mme",), {"text": "x" * (MAX_STATEMENT_BYTES // 2)})
    ids = [f"job {n}" for n in range(5)]

    await store.jobs.submit_batch([NewJob(each, "lmms_eval", large, "alice") for each in ids])

    assert [job.job_id for job in await store.queries.queued()] == ids


async def test_each_submission_has_its_own_event_in_the_same_order(
    store: Store, tmp_path: Path
) -> None:
    await asyncio.gather(*(submit_as(store, f"job {n}") for n in range(MANY)))

    events = read(
        tmp_path / DATABASE_NAME, "SELECT job_id, event FROM job_events ORDER BY event_id"
    )
    assert events == [(f"job {n}", "submitted") for n in range(MANY)]


async def test_the_log_of_a_batch_is_sound(store: Store, tmp_path: Path) -> None:
    await asyncio.gather(*(submit(store) for _ in range(MANY)))

    with snapshot(tmp_path / DATABASE_NAME) as opened:
        assert verify_log(opened).problem is None


async def test_listeners_receive_the_event_of_each_job(store: Store, tmp_path: Path) -> None:
    received: list[tuple[str, int, int]] = []
    store.subscribe(lambda event: received.append((event.job_id, event.seq, event.event_id)))

    await asyncio.gather(*(submit_as(store, f"job {n}") for n in range(MANY)))

    sql = "SELECT job_id, seq, event_id FROM job_events JOIN jobs USING (job_id) ORDER BY event_id"
    assert received == read(tmp_path / DATABASE_NAME, sql)


async def test_a_failing_submission_does_not_affect_the_others(store: Store) -> None:
    ids = ["a", "b", "a", "c"]

    outcomes = await asyncio.gather(
        *(submit_as(store, each) for each in ids), return_exceptions=True
    )

    assert [type(each) for each in outcomes] == [type(None)] * 2 + [sqlite3.IntegrityError] + [
        type(None)
    ]
    queued = await store.queries.queued()
    assert [job_id for job_id, *_ in queued] == ["a", "b", "c"]


async def test_any_text_is_stored_unchanged(store: Store) -> None:
    text = "\"'\\ \n\t $[0] ä 😀 \u2028"
    request = EvaluateRequest("dummy", (text,), {text: [text, 2**63, 0.1]}, labels={text: text})

    await store.jobs.submit(NewJob(text, "lmms_eval", request, text))

    job = await store.queries.job(text)
    assert (job.request, job.labels, job.submitted_by) == (request, {text: text}, text)
