"""Which jobs a leaderboard considers, and which of their numbers count."""

from dataclasses import replace
from pathlib import Path

import pytest

from evalserver.core.job import Metric, NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import Candidate, Store, leaderboard
from tests.store.test_jobs import PLENTY, completed

ACC = Metric("mme", "acc", "none", 0.5, 0.1, 64, True)


async def finish(store: Store, job_id: str, *metrics: Metric, **fields: object) -> str:
    """Run a job of these metrics to completion."""
    request = EvaluateRequest("dummy", ("mme",), **fields)  # type: ignore[arg-type]
    await store.jobs.submit(NewJob(job_id, "lmms_eval", request, "alice"))
    await store.jobs.claim(await store.queries.job(job_id), Path("/run"), Path("/out"))
    await store.jobs.finish(job_id, completed(*metrics), PLENTY)
    return job_id


async def test_the_newest_completed_jobs_are_considered_also_pruned_ones(store: Store) -> None:
    for job_id in ("a", "b", "c"):
        await finish(store, job_id, ACC, limit=10, model_args={"pretrained": "m"})
    await store.jobs.prune_job("b", "bob")

    found = await store.leaderboard.considered()

    assert [(job.job_id, job.pruned) for job in found.jobs] == [
        ("c", False), ("b", True), ("a", False),
    ]  # fmt: skip
    first, second, _ = found.jobs
    assert replace(second, job_id="c", pruned=False, completed_at=first.completed_at) == first
    assert (first.limit, first.model_args, found.has_older) == (10.0, {"pretrained": "m"}, False)


async def test_older_jobs_than_so_many_are_left_out_and_it_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "MAX_LEADERBOARD_JOBS", 2)
    for job_id in ("a", "b", "c"):
        await finish(store, job_id, ACC)

    found = await store.leaderboard.considered()

    assert ([job.job_id for job in found.jobs], found.has_older) == (["c", "b"], True)


async def test_of_a_series_its_own_newest_jobs_are_considered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "MAX_LEADERBOARD_JOBS", 2)
    await finish(store, "a", ACC, series="run", step=1)
    await store.jobs.prune_job("a", "bob")
    await finish(store, "b", ACC, series="run", step=2)
    for job_id in ("c", "d"):
        await finish(store, job_id, ACC)

    found = await store.leaderboard.considered(["run"])

    assert [(job.job_id, job.step) for job in found.jobs] == [("b", 2), ("a", 1)]
    assert not found.has_older


async def test_the_number_of_the_first_candidate_counts_or_the_best(store: Store) -> None:
    for job_id, value in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        await finish(store, job_id, replace(ACC, value=value))
    candidates = [Candidate(each, 0, 0) for each in ("c", "b", "a")]

    [first] = await store.leaderboard.numbers(candidates, [], best=False)
    [best] = await store.leaderboard.numbers(candidates, [], best=True)

    assert (first.job_id, first.jobs) == ("c", 3)
    assert (best.job_id, best.metric.value) == ("b", 0.9)


async def test_the_best_loss_is_the_lowest(store: Store) -> None:
    for job_id, value in (("a", 0.5), ("b", 0.9)):
        await finish(store, job_id, replace(ACC, value=value, higher_is_better=False))

    [best] = await store.leaderboard.numbers(
        [Candidate("b", 0, 0), Candidate("a", 0, 0)], [], best=True
    )

    assert best.job_id == "a"


@pytest.mark.parametrize(
    "other",
    [
        {"task": "ai2d"}, {"metric": "f1"}, {"filter": "strict"}, {"task_version": "2"},
        {"num_fewshot": 5},
    ],
)  # fmt: skip
async def test_numbers_of_other_kinds_are_kept_apart(
    store: Store, other: dict[str, str | int]
) -> None:
    ordinary = replace(ACC, task_version="1", num_fewshot=0)
    await finish(store, "a", ordinary)
    await finish(store, "b", replace(ordinary, **other))  # type: ignore[arg-type]

    found = await store.leaderboard.numbers(
        [Candidate("b", 0, 0), Candidate("a", 0, 0)], [], best=False
    )

    assert {each.job_id for each in found} == {"a", "b"}


async def test_numbers_of_other_entries_and_settings_are_kept_apart(store: Store) -> None:
    for job_id in ("a", "b", "c"):
        await finish(store, job_id, ACC)

    found = await store.leaderboard.numbers(
        [Candidate("a", 0, 0), Candidate("b", 1, 0), Candidate("c", 0, 1)], [], best=False
    )

    assert len(found) == 3


async def test_tasks_are_selected_by_name_or_pattern(store: Store) -> None:
    metrics = [replace(ACC, task=task) for task in ("mmlu_a", "mmlu_b", "gsm8k", "mme")]
    await finish(store, "a", *metrics)

    found = await store.leaderboard.numbers([Candidate("a", 0, 0)], ["mmlu_*", "mme"], best=False)

    assert sorted(each.metric.task for each in found) == ["mme", "mmlu_a", "mmlu_b"]
