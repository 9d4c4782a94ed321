"""Verdicts of gates are kept, audited, and found; and the earlier steps of a series."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.job import Metric
from evalserver.core.lifecycle import Status
from evalserver.store import IllegalTransition, KeptVerdict, NewVerdict, Store
from tests.store.test_jobs import ACCURACY, PLENTY, claim, complete, completed, start
from tests.store.test_migrate import rows
from tests.store.test_verify import verify

VERDICT = NewVerdict(
    job_id="",
    attempt=1,
    series="run",
    step=100,
    baseline_id="baseline",
    policy="release",
    by_series=False,
    verdict="no_go",
    reason="1 of 1 metric breached the gate: mme acc.",
    report={"judgements": []},
)


async def judge(store: Store, job_id: str, **values: Any) -> KeptVerdict:
    """Keep a verdict on a job."""
    return await store.gates.keep(replace(VERDICT, job_id=job_id, **values), "alice")


def verdicts_in(folder: Path) -> int:
    """How many verdicts there are."""
    return int(rows(folder, "SELECT count(*) FROM gate_verdicts")[0][0])


async def test_a_verdict_is_kept_with_who_asked_for_it(store: Store) -> None:
    job_id = await complete(store)

    kept = await judge(store, job_id)

    assert await store.gates.newest(10, job_id=job_id) == [kept]
    assert (kept.verdict_id, kept.verdict, kept.actor) == (1, "no_go", "alice")
    assert (kept.policy, kept.baseline_id, kept.report) == (
        "release",
        "baseline",
        {"judgements": []},
    )


async def test_a_verdict_is_an_event_of_the_job_without_numbers(
    store: Store, tmp_path: Path
) -> None:
    job_id = await complete(store)

    await judge(store, job_id)

    last = (await store.events.after(0, 100, job_id))[-1]
    assert (last.event, last.actor, last.from_status, last.to_status, last.attempt) == (
        "judged", "alice", "completed", "completed", 1,
    )  # fmt: skip
    assert last.detail == {
        "verdict_id": 1,
        "verdict": "no_go",
        "policy": "release",
        "baseline": "baseline",
        "by_series": False,
    }
    await store.close()
    assert verify(tmp_path).problem is None


async def test_a_verdict_changes_neither_the_job_nor_the_order_in_which_jobs_finished(
    store: Store,
) -> None:
    first, second = await complete(store), await complete(store)
    before = await store.queries.job(first)

    await judge(store, first)

    after = await store.queries.job(first)
    assert after == before
    assert [job.job_id for job in await store.queries.last_finished(2)] == [second, first]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
async def test_a_job_that_is_not_completed_gets_no_verdict(
    store: Store, tmp_path: Path, status: Status
) -> None:
    job_id = await start(store)
    if status is Status.QUEUED:
        await store.jobs.interrupt(job_id, "lost")

    with pytest.raises(IllegalTransition):
        await judge(store, job_id)

    assert verdicts_in(tmp_path) == 0


async def test_a_job_that_was_retried_since_it_was_judged_gets_no_verdict(
    store: Store, tmp_path: Path
) -> None:
    job_id = await complete(store)
    await store.jobs.retry(job_id, "bob")
    await claim(store, job_id)
    await store.jobs.finish(job_id, completed(), PLENTY)

    with pytest.raises(IllegalTransition, match="attempt 2"):
        await judge(store, job_id, attempt=1)

    assert verdicts_in(tmp_path) == 0


async def test_a_pruned_job_is_judged_by_what_is_kept(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store, keep=0)

    kept = await judge(store, job_id)

    assert await store.gates.newest(10, job_id=job_id) == [kept]
    assert (await store.events.after(0, 100, job_id))[-1].event == "judged"
    await store.close()
    assert verify(tmp_path).problem is None


async def test_a_job_that_never_was_gets_no_verdict(store: Store) -> None:
    with pytest.raises(IllegalTransition):
        await judge(store, "nothing")


async def test_the_gate_of_a_series_judges_each_result_once(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)

    kept = await asyncio.gather(
        *(judge(store, job_id, by_series=True, verdict=each) for each in ("go", "no_go", "go"))
    )

    assert {each.verdict_id for each in kept} == {1}
    events = [each.event for each in await store.events.after(0, 100, job_id)]
    assert (verdicts_in(tmp_path), events.count("judged")) == (1, 1)


async def test_the_gate_of_a_series_judges_a_later_attempt_and_by_another_policy_again(
    store: Store, tmp_path: Path
) -> None:
    job_id = await complete(store)
    await judge(store, job_id, by_series=True)

    await judge(store, job_id, by_series=True, policy="nightly")
    await store.jobs.retry(job_id, "bob")
    await claim(store, job_id)
    await store.jobs.finish(job_id, completed(), PLENTY)
    await judge(store, job_id, by_series=True, attempt=2)

    assert verdicts_in(tmp_path) == 3


async def test_anybody_may_have_a_job_judged_again(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)

    await judge(store, job_id)
    await judge(store, job_id)

    assert verdicts_in(tmp_path) == 2


async def test_verdicts_are_found_by_job_and_by_series_the_newest_first(store: Store) -> None:
    first, second = await complete(store), await complete(store)
    await judge(store, first, series="a")
    await judge(store, second, series="b")
    await judge(store, first, series="a")
    await judge(store, first, series=None)

    def ids(found: list[KeptVerdict]) -> list[int]:
        return [each.verdict_id for each in found]

    assert ids(await store.gates.newest(10)) == [4, 3, 2, 1]
    assert ids(await store.gates.newest(2, before=4)) == [3, 2]
    assert ids(await store.gates.newest(10, job_id=first)) == [4, 3, 1]
    assert ids(await store.gates.newest(10, series=["a", "c"])) == [3, 1]
    assert ids(await store.gates.newest(10, job_id=first, series=["b"])) == []


async def test_an_erased_job_takes_its_verdicts_along(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)
    await judge(store, job_id)

    await store.jobs.erase(job_id, "carol")

    assert verdicts_in(tmp_path) == 0


async def test_an_erased_baseline_takes_its_numbers_along(store: Store) -> None:
    job_id, baseline = await complete(store), await complete(store)
    await judge(store, job_id, baseline_id=baseline)

    await store.jobs.erase(baseline, "carol")

    [kept] = await store.gates.newest(10, job_id=job_id)
    assert (kept.verdict, kept.report) == ("no_go", None)


async def steps_before(store: Store, **request: Any) -> list[int]:
    """The earlier steps of a job of step 500 that differs from the others in this."""
    values = {"series": "run", "step": 500, **request}
    job = await store.queries.job(await complete(store, **values))
    return [each.step for each in await store.gates.earlier_steps(job)]


async def test_earlier_steps_are_those_of_completed_jobs_the_highest_first(store: Store) -> None:
    for step in (300, 100, 600, 500):
        await complete(store, series="run", step=step)
    await start(store, series="run", step=400)

    assert await steps_before(store) == [300, 100]


async def test_a_pruned_job_is_an_earlier_step(store: Store) -> None:
    await store.jobs.prune_job(await complete(store, series="run", step=300), "bob")
    await store.jobs.prune_job(await complete(store, series="run", step=1000), "bob")

    assert await steps_before(store) == [300]


async def test_of_several_jobs_of_a_step_the_last_one_counts(store: Store) -> None:
    await complete(store, series="run", step=300)
    last = await complete(store, series="run", step=300)
    job = await store.queries.job(await complete(store, series="run", step=500))

    assert [each.job_id for each in await store.gates.earlier_steps(job)] == [last]


@pytest.mark.parametrize(
    "other",
    [{"series": "other"}, {"tasks": ("mmmu",)}, {"limit": 8}, {"series": None}, {"step": None}],
    ids=str,
)
async def test_a_job_that_differs_has_no_earlier_steps(store: Store, other: dict[str, Any]) -> None:
    await complete(store, series="run", step=300)

    assert await steps_before(store, **other) == []


async def test_what_means_the_same_is_the_same(store: Store) -> None:
    await complete(store, series="run", step=300, tasks=("a", "b"))

    assert await steps_before(store, tasks=("b", "a"), limit=-1) == [300]


async def test_the_metrics_of_several_jobs_are_read_at_once(store: Store) -> None:
    loss = Metric("mme", "loss", "none", 2.0, None, None, False)
    ids = [await start(store), await start(store), await start(store)]
    for job_id, metrics in zip(ids, ([ACCURACY], [ACCURACY, loss], []), strict=True):
        await store.jobs.finish(job_id, completed(*metrics), PLENTY)

    found = await store.gates.metrics_of(ids)

    assert found == {ids[0]: [ACCURACY], ids[1]: [ACCURACY, loss], ids[2]: []}
