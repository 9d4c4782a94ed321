"""Submissions with an idempotency key, in the store: one job per key."""

import asyncio
import uuid
from pathlib import Path

import pytest

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import Answered, Key, KeyReused, Store
from tests.store.test_jobs import PLENTY, complete, start, submit
from tests.store.test_listing import opened
from tests.store.test_migrate import contents, rows

KEY = Key("k", "alice", "hash")


async def send(store: Store, key: Key = KEY, priority: int = 0) -> Answered:
    """Submit with a key; the answer contains the job and its position."""
    request = EvaluateRequest("dummy", ("mme",), priority=priority)
    job = NewJob(str(uuid.uuid4()), "lmms_eval", request, key.submitted_by)
    return await store.jobs.submit_once(job, key, lambda position: f"{job.job_id} {position}")


async def test_a_key_is_stored_with_its_job_and_answer(store: Store, tmp_path: Path) -> None:
    answered = await send(store)

    columns = "key, submitted_by, body_hash, job_id, answer"
    kept = rows(tmp_path, f"SELECT {columns} FROM idempotency_keys")  # noqa: S608
    assert kept == [("k", "alice", "hash", answered.answer.split()[0], answered.answer)]


async def test_a_repeated_key_gets_the_original_answer(store: Store, tmp_path: Path) -> None:
    first = await send(store)
    before = contents(tmp_path)

    again = await send(store)

    assert again == Answered(first.answer, again=True)
    assert contents(tmp_path) == before


async def test_a_key_reused_for_another_request_is_rejected(store: Store, tmp_path: Path) -> None:
    await send(store)
    before = contents(tmp_path)

    with pytest.raises(KeyReused):
        await send(store, Key("k", "alice", "another hash"))

    assert contents(tmp_path) == before


async def test_a_key_belongs_to_its_submitter(store: Store) -> None:
    alices = await send(store)

    bobs = await send(store, Key("k", "bob", "another hash"))

    assert not bobs.again
    assert bobs.answer != alices.answer


async def test_only_one_of_many_concurrent_submissions_is_carried_out(store: Store) -> None:
    answers = await asyncio.gather(*(send(store) for _ in range(20)))

    assert [answered.again for answered in answers].count(False) == 1
    assert len({answered.answer for answered in answers}) == 1
    assert len(await store.queries.queued()) == 1


async def test_a_key_is_remembered_after_its_job_was_pruned(store: Store) -> None:
    first = await send(store)
    await store.jobs.cancel_queued(first.answer.split()[0], "bob", keep=0)

    again = await send(store)

    assert again == Answered(first.answer, again=True)
    assert await store.queries.all_ids() == set()


async def test_a_key_is_remembered_after_the_store_was_reopened(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await send(store)
    async with opened(tmp_path) as store:
        again = await send(store)

        assert again == Answered(first.answer, again=True)


async def test_the_position_takes_priorities_into_account(store: Store) -> None:
    await start(store)
    await complete(store)
    await store.jobs.cancel_queued(await submit(store), "bob", PLENTY)
    for priority in (0, 5, -5, 1):
        await submit(store, priority=priority)

    answers = [await send(store, Key(str(p), "alice", ""), p) for p in (0, 1, 9, -9)]

    # Ahead of each: 5, 1, 0 | 5, 1 | none | 9, 5, 1, 1, 0, 0, -5
    assert [answered.answer.split()[1] for answered in answers] == ["3", "2", "0", "7"]
