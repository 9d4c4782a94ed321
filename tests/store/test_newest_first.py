"""A job of a series whose newest step goes first exchanges its place with the one before it."""

from pathlib import Path
from typing import Any

import pytest

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import IllegalTransition, Store
from tests.store.test_jobs import claim
from tests.store.test_migrate import rows


def new(job_id: str, step: int | None = None, submitter: str = "alice", **fields: Any) -> NewJob:
    """A job of the series, or of none."""
    series = None if step is None else fields.pop("series", "run")
    request = EvaluateRequest("dummy", ("mme",), series=series, step=step, **fields)
    return NewJob(job_id, "lmms_eval", request, submitter, newest_first=step is not None)


async def submit(store: Store, *jobs: NewJob) -> None:
    for job in jobs:
        await store.jobs.submit(job)


async def places(store: Store) -> list[str]:
    """The queued jobs in the order of their own places."""
    return [job.job_id for job in await store.queries.queued()]


def exchanges(folder: Path) -> list[tuple[Any, ...]]:
    """The jobs that started in the place of another one, with it."""
    sql = "SELECT job_id, detail ->> 'in_place_of' AS other FROM job_events WHERE other IS NOT NULL"
    return rows(folder, sql)


async def test_the_one_that_is_overtaken_gets_the_place_of_the_newer_one(store: Store) -> None:
    await submit(store, new("100", 100), new("other"), new("200", 200), new("300", 300))

    await claim(store, "300")

    assert await places(store) == ["other", "200", "100"]


async def test_the_event_names_the_one_that_was_overtaken(store: Store, tmp_path: Path) -> None:
    await submit(store, new("100", 100), new("200", 200))

    await claim(store, "200")

    assert exchanges(tmp_path) == [("200", "100")]


async def test_a_series_has_no_more_places_than_jobs(store: Store, tmp_path: Path) -> None:
    await submit(store, new("100", 100), new("other"), new("200", 200))

    await claim(store, "200")
    await claim(store, "other")
    await claim(store, "100")

    assert exchanges(tmp_path) == [("200", "100")]


async def test_one_that_is_queued_again_keeps_the_place_that_it_took(store: Store) -> None:
    await submit(store, new("100", 100), new("other"), new("200", 200))
    await claim(store, "200")

    await store.jobs.interrupt("200", "lost")

    assert await places(store) == ["200", "other", "100"]


@pytest.mark.parametrize(
    "other",
    [
        new("older", 100, submitter="bob"),
        new("older", 100, series="another"),
        new("older", 100, priority=1),
        new("older", 100, num_gpus=2),
        new("older", 100, wait_for_path_s=60),
        new("older"),
    ],
    ids=["submitter", "series", "priority", "GPUs", "waiting for a checkpoint", "no series"],
)
async def test_what_differs_for_placement_keeps_its_place(
    store: Store, tmp_path: Path, other: NewJob
) -> None:
    await submit(store, other, new("newer", 200))

    await claim(store, "newer")

    assert exchanges(tmp_path) == []


async def test_of_one_step_the_first_submitted_goes_first(store: Store, tmp_path: Path) -> None:
    await submit(store, new("100", 100), new("200a", 200), new("200b", 200))

    await claim(store, "200a")
    await claim(store, "200b")

    assert exchanges(tmp_path) == [("200a", "100"), ("200b", "100")]


async def test_a_newer_step_that_came_after_the_decision_is_before_it(store: Store) -> None:
    await submit(store, new("100", 100))
    decided_at = await store.events.newest_id()
    await submit(store, new("200", 200))
    job = await store.queries.job("100")

    with pytest.raises(IllegalTransition, match="job 100 is not next: 200 is before it"):
        await store.jobs.claim(job, Path("/r"), Path("/o"), after_event=decided_at)


async def test_what_is_handed_over_exchanges_its_place_too(store: Store, tmp_path: Path) -> None:
    await submit(store, new("100", 100), new("200", 200))

    await store.jobs.hand_over(await store.queries.job("200"), Path("/r"), Path("/o"))

    assert exchanges(tmp_path) == [("200", "100")]


async def test_queue_now_shows_the_newest_first_in_the_places_of_the_series(
    store: Store, tmp_path: Path
) -> None:
    await submit(store, new("100", 100), new("other"), new("200", 200), new("300", 300))
    await submit(store, new("urgent", 100, priority=1))

    queue = rows(tmp_path, "SELECT position_in_queue, job_id FROM queue_now")

    assert queue == [(0, "urgent"), (1, "300"), (2, "other"), (3, "200"), (4, "100")]
