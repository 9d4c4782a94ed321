"""What is kept of pruned jobs, how it is erased, and pruning by a budget of bytes."""

from dataclasses import replace
from pathlib import Path

import pytest

from evalserver.core.job import Failure, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.result_check import CheckStatus, Finding, FindingCode, ResultCheck
from evalserver.store import (
    DATABASE_NAME,
    IllegalTransition,
    JobNotFound,
    JobPruned,
    Store,
    kind_of,
)
from tests.store.test_jobs import ACCURACY, PLENTY, complete, completed, start, submit
from tests.store.test_migrate import change, rows

CHECK = ResultCheck(CheckStatus.WARNINGS, (Finding("mme", FindingCode.NOT_FINITE, "acc is NaN"),))


async def prune_completed(store: Store, **request: object) -> str:
    """Complete a job with a metric, and prune it; returns its id."""
    job_id = await start(store, **request)
    await store.jobs.finish(job_id, replace(completed(ACCURACY), result_check=CHECK), keep=0)
    return job_id


async def test_a_finished_job_has_its_check_failure_and_partial_metrics(store: Store) -> None:
    job_id = await start(store)
    failure, partial = Failure("gpu_memory", "Use less."), {"mme": {"acc,none": 0.5}}
    outcome = Outcome(
        Status.FAILED, "2030", error="x", result_check=CHECK, failure=failure, partial=partial
    )

    await store.jobs.finish(job_id, outcome, PLENTY)

    job = await store.queries.job(job_id)
    assert (job.result_check, job.failure, job.partial) == (CHECK, failure, partial)


async def test_a_retry_forgets_check_failure_and_partial_metrics(store: Store) -> None:
    job_id = await start(store)
    outcome = Outcome(
        Status.FAILED, "2030", error="x", result_check=CHECK, failure=Failure("a", "b"), partial={}
    )
    await store.jobs.finish(job_id, outcome, PLENTY)

    await store.jobs.retry(job_id, "bob")

    job = await store.queries.job(job_id)
    assert (job.result_check, job.failure, job.partial) == (None, None, None)


async def test_a_pruned_job_keeps_its_numbers_and_who_asked_for_what(store: Store) -> None:
    labels = {"series": "run", "step": "5", "team": "a"}
    asked = {"limit": 8, "model_args": {"pretrained": "a/b"}, "series": "run", "step": 5}
    job_id = await start(store, labels=labels, **asked)
    before = await store.queries.job(job_id)
    await store.jobs.finish(job_id, replace(completed(ACCURACY), result_check=CHECK), PLENTY)
    after = await store.queries.job(job_id)

    await store.jobs.prune_job(job_id, "bob")

    kept = await store.queries.with_pruned(job_id)
    assert kept.request == before.request
    assert kept.pruned_at is not None
    for name in (
        "seq", "status", "engine", "labels", "submitted_by", "created_at", "started_at",
        "completed_at", "attempt", "exit_code", "result_check", "provenance",
        "series", "step",
    ):  # fmt: skip
        assert getattr(kept, name) == getattr(after, name), name
    assert await store.queries.metrics(job_id) == [ACCURACY]


async def test_secrets_of_a_pruned_job_are_not_kept(store: Store, tmp_path: Path) -> None:
    await prune_completed(store, model_args={"api_key": "very-secret-key", "base_url": "http://a"})

    assert "very-secret-key" not in str(rows(tmp_path, "SELECT * FROM pruned_jobs"))


async def test_a_pruned_job_is_gone_but_says_where_its_metrics_are(store: Store) -> None:
    job_id = await prune_completed(store)

    with pytest.raises(JobPruned, match=f"GET /jobs/{job_id}/results"):
        await store.queries.job(job_id)


async def test_trends_have_pruned_jobs(store: Store) -> None:
    pruned = await prune_completed(store, series="run", step=100)
    job_id = await start(store, series="run", step=200)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    points = await store.series.points(["run"], "mme", "acc", "none")

    assert [(each.job_id, each.step, each.pruned) for each in points] == [
        (pruned, "100", True),
        (job_id, "200", False),
    ]


async def test_a_series_counts_its_pruned_jobs(store: Store) -> None:
    await prune_completed(store, series="run")
    await complete(store, series="run")

    assert [(each.name, each.jobs) for each in await store.series.all()] == [("run", 2)]


async def test_a_trend_has_no_numbers_of_jobs_that_failed(store: Store) -> None:
    job_id = await start(store, series="run")
    outcome = Outcome(Status.FAILED, "2030", error="x", metrics=(ACCURACY,), partial={})
    await store.jobs.finish(job_id, outcome, PLENTY)

    assert await store.series.points(["run"], "mme", "acc", "none") == []


async def test_forecasts_use_pruned_jobs(store: Store) -> None:
    job_id = await prune_completed(store, limit=0.5)
    kept = await store.queries.with_pruned(job_id)

    assert len(await store.durations.of_kind(kind_of("lmms_eval", kept.request))) == 1


async def test_the_leaderboard_has_pruned_jobs_and_no_failed_ones(
    store: Store, tmp_path: Path
) -> None:
    pruned = await prune_completed(store)
    failed = await start(store)
    outcome = Outcome(Status.FAILED, "2030", error="x", metrics=(ACCURACY,), partial={})
    await store.jobs.finish(failed, outcome, PLENTY)

    assert rows(tmp_path, "SELECT job_id, pruned FROM leaderboard") == [(pruned, 1)]


async def test_views_of_the_past_have_pruned_jobs(store: Store, tmp_path: Path) -> None:
    job_id = await prune_completed(store)

    assert rows(tmp_path, "SELECT job_id, pruned FROM who_ran_what") == [(job_id, 1)]
    assert rows(tmp_path, "SELECT model, jobs FROM time_per_model") == [("dummy", 1)]


async def test_erasing_removes_the_numbers(store: Store, tmp_path: Path) -> None:
    job_id = await prune_completed(store)

    await store.jobs.erase(job_id, "carol")

    assert rows(tmp_path, "SELECT * FROM metrics") == []
    assert rows(tmp_path, "SELECT * FROM pruned_jobs") == []


async def test_erasing_is_audited(store: Store, tmp_path: Path) -> None:
    job_id = await prune_completed(store)

    await store.jobs.erase(job_id, "carol")

    [last] = rows(
        tmp_path, "SELECT actor, event, job_id FROM job_events ORDER BY event_id DESC LIMIT 1"
    )
    assert last == ("carol", "erased", job_id)


async def test_an_erased_job_is_still_known_to_have_been(store: Store) -> None:
    job_id = await complete(store)

    await store.jobs.erase(job_id, "carol")

    with pytest.raises(JobPruned, match="audit log"):
        await store.queries.with_pruned(job_id)


async def test_only_a_finished_job_can_be_erased(store: Store) -> None:
    job_id = await submit(store)

    with pytest.raises(IllegalTransition):
        await store.jobs.erase(job_id, "carol")

    assert (await store.queries.job(job_id)).status is Status.QUEUED


async def test_an_erased_job_cannot_be_erased_again(store: Store) -> None:
    job_id = await complete(store)
    await store.jobs.erase(job_id, "carol")

    with pytest.raises(IllegalTransition):
        await store.jobs.erase(job_id, "carol")


async def test_an_unknown_job_has_nothing_kept(store: Store) -> None:
    with pytest.raises(JobNotFound):
        await store.queries.with_pruned("nobody")


async def finish_with_bytes(store: Store, output_bytes: int, max_bytes: int | None = None) -> str:
    """Complete a job whose files take this much; returns its id."""
    job_id = await start(store)
    outcome = replace(completed(), output_bytes=output_bytes)
    await store.jobs.finish(job_id, outcome, PLENTY, max_bytes)
    return job_id


async def test_the_oldest_jobs_beyond_the_budget_are_pruned(store: Store) -> None:
    await finish_with_bytes(store, 400)
    kept = [await finish_with_bytes(store, 400), await finish_with_bytes(store, 400, 900)]

    assert await store.queries.all_ids() == set(kept)


async def test_the_newest_job_stays_even_if_it_is_beyond_the_budget(store: Store) -> None:
    await finish_with_bytes(store, 1)
    newest = await finish_with_bytes(store, 5000, 900)

    assert await store.queries.all_ids() == {newest}


async def test_jobs_within_the_budget_stay(store: Store) -> None:
    for _ in range(3):
        await finish_with_bytes(store, 300, 900)

    assert len(await store.queries.all_ids()) == 3


async def test_findings_that_cannot_be_read_do_not_hide_a_pruned_job(
    store: Store, tmp_path: Path
) -> None:
    job_id = await prune_completed(store)
    change(tmp_path / DATABASE_NAME, "UPDATE pruned_jobs SET findings = '[{}]'")

    kept = await store.queries.with_pruned(job_id)

    assert kept.result_check == ResultCheck(CheckStatus.WARNINGS)
    assert "its column findings cannot be read" in str(kept.damage)
