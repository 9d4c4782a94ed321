"""Durations of jobs: which jobs count as the same kind, and which are considered."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.clock import timestamp
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import Kind, Store, kind_of
from tests.store.test_jobs import PLENTY, completed, start, submit

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
MME = Kind("lmms_eval", "dummy", ("mme",), -1, 1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose clock always shows noon."""
    store = await Store.open(tmp_path, lambda: NOON)
    yield store
    await store.close()


async def take(store: Store, seconds: float, **request: Any) -> str:
    """Complete a job that took this long; returns its id."""
    job_id = await start(store, **request)
    end = timestamp(NOON + timedelta(seconds=seconds))
    await store.jobs.finish(job_id, replace(completed(), completed_at=end), PLENTY)
    return job_id


async def test_a_duration_runs_from_the_last_start_to_the_end(store: Store) -> None:
    await take(store, 12.5)

    assert await store.durations.of_kind(MME) == [pytest.approx(12.5, abs=0.001)]


async def test_options_of_the_harness_make_another_kind(store: Store) -> None:
    options = {"repeats": 4, "system_instruction": 'é "b"', "x": 1.0}
    await take(store, 10)
    await take(store, 20, harness_args={})
    await take(store, 40, harness_args=options)
    request = EvaluateRequest("dummy", ("mme",), harness_args=options)

    assert [round(each) for each in await store.durations.of_kind(MME)] == [20, 10]
    found = await store.durations.of_kind(kind_of("lmms_eval", request))
    assert [round(each) for each in found] == [40]


async def test_options_of_the_harness_distinguish_pruned_jobs_too(store: Store) -> None:
    options = {"repeats": 4, "system_instruction": 'é "b"'}
    await take(store, 10)
    job_id = await start(store, harness_args=options)
    outcome = replace(completed(), completed_at=timestamp(NOON + timedelta(seconds=40)))
    await store.jobs.finish(job_id, outcome, PLENTY)
    await store.jobs.finish(await start(store, model="other"), completed(), 1)
    request = EvaluateRequest("dummy", ("mme",), harness_args=options)

    assert [round(each) for each in await store.durations.of_kind(MME)] == [10]
    found = await store.durations.of_kind(kind_of("lmms_eval", request))
    assert [round(each) for each in found] == [40]


async def test_the_newest_twenty_jobs_are_considered(store: Store) -> None:
    for seconds in range(25):
        await take(store, seconds)

    assert [round(each) for each in await store.durations.of_kind(MME)] == list(range(24, 4, -1))


async def test_a_clock_set_back_gives_no_negative_duration(store: Store) -> None:
    await take(store, -5)

    assert await store.durations.of_kind(MME) == [0.0]


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
async def test_jobs_that_did_not_complete_do_not_count(store: Store, status: Status) -> None:
    job_id = await start(store)
    await store.jobs.finish(
        job_id, replace(completed(), status=status, error="x", result=None), PLENTY
    )

    assert await store.durations.of_kind(MME) == []


OTHERS: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "tasks": {"tasks": ("mme", "gqa")},
    "limit": {"limit": 8},
    "fraction": {"limit": 0.25},
    "gpus": {"num_gpus": 2},
}


@pytest.mark.parametrize("request_", OTHERS.values(), ids=OTHERS.keys())
async def test_jobs_of_another_kind_do_not_count(store: Store, request_: dict[str, Any]) -> None:
    await take(store, 10, **request_)

    found = await store.durations.of_kind(kind_of("lmms_eval", _request(**request_)))

    assert (await store.durations.of_kind(MME), len(found)) == ([], 1)


async def test_another_engine_is_another_kind(store: Store) -> None:
    await take(store, 10)

    assert await store.durations.of_kind(replace(MME, engine="lm_eval")) == []


@pytest.mark.parametrize(
    "request_", [{"limit": -1}, {"model_args": {"pretrained": "step-2000"}}, {"priority": 5}]
)
async def test_jobs_of_similar_cost_are_the_same_kind(
    store: Store, request_: dict[str, Any]
) -> None:
    await take(store, 10, **request_)

    assert len(await store.durations.of_kind(MME)) == 1


async def test_the_kind_and_start_time_of_jobs_are_returned(store: Store) -> None:
    running, queued = await start(store), await submit(store, limit=0.5)

    known = await store.durations.known([running, queued, "nobody"])

    assert {job_id: (each.kind, each.started_at) for job_id, each in known.items()} == {
        running: (MME, timestamp(NOON)),
        queued: (replace(MME, limit=0.5), None),
    }


def _request(**fields: Any) -> EvaluateRequest:
    return EvaluateRequest(**{"model": "dummy", "tasks": ("mme",), **fields})
