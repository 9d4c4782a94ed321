"""A job's history, and the statistics of a database."""

import asyncio
from pathlib import Path

import pytest

from evalserver.store import (
    DATABASE_NAME,
    Info,
    JobHistory,
    JobNotFound,
    Store,
    describe,
    history_of,
    snapshot,
)
from tests.store.test_jobs import ACCURACY, PLENTY, complete, completed, start, submit
from tests.store.test_migrate import rows


def load_history(folder: Path, job_id: str) -> JobHistory:
    """A job's history, from the database of a data directory."""
    with snapshot(folder / DATABASE_NAME) as opened:
        return history_of(opened, job_id)


def info(folder: Path) -> Info:
    """The statistics of a data directory's database."""
    with snapshot(folder / DATABASE_NAME) as opened:
        return describe(opened)


async def test_a_history_has_only_the_record_and_events_of_its_job(
    store: Store, tmp_path: Path
) -> None:
    await complete(store)
    job_id = await complete(store, tasks=("mme", "gsm8k"), labels={"team": "a"})

    history = load_history(tmp_path, job_id)

    assert history.record is not None
    assert history.record["tasks"] == ["mme", "gsm8k"]
    assert history.record["labels"] == {"team": "a"}
    assert [event.event_id for event in history.events] == [4, 5, 6]
    assert [event.event for event in history.events] == ["submitted", "claimed", "completed"]
    assert history.events[1].detail == {"run_dir": "run-1"}


async def test_a_pruned_job_has_its_events_and_no_record(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store, keep=0)

    history = load_history(tmp_path, job_id)

    assert history.record is None
    assert (history.events[-1].event, history.events[-1].to_status) == ("pruned", None)


async def test_an_unknown_job_has_no_history(store: Store, tmp_path: Path) -> None:
    with pytest.raises(JobNotFound, match="Job ghost not found"):
        load_history(tmp_path, "ghost")


async def test_the_statistics_count_the_stored_data(store: Store, tmp_path: Path) -> None:
    running = await start(store)
    await store.jobs.finish(running, completed(ACCURACY), PLENTY)
    await submit(store)
    await asyncio.gather(*(complete(store, keep=1) for _ in range(3)))

    found = info(tmp_path)

    assert found.jobs == {"queued": 1, "running": 0, "completed": 1, "failed": 0, "cancelled": 0}
    [(events, metrics, oldest, newest)] = rows(
        tmp_path,
        "SELECT count(*), (SELECT count(*) FROM metrics), min(at), max(at) FROM job_events",
    )
    assert (found.events, found.metrics) == (events, metrics)
    assert (found.oldest_event, found.newest_event) == (oldest, newest)


async def test_the_statistics_of_a_new_database_are_empty(store: Store, tmp_path: Path) -> None:
    found = info(tmp_path)

    assert (sum(found.jobs.values()), found.events, found.oldest_event) == (0, 0, None)
