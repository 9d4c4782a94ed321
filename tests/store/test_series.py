"""The series and the step of jobs: finding and sorting by them, and those of older databases."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.job import NewJob
from evalserver.core.request import MAX_STEP, EvaluateRequest
from evalserver.core.series import fields_of_labels
from evalserver.store import DATABASE_NAME, JobFilter, Order, SortKey, Store, submission
from evalserver.store.migrate import migrate
from evalserver.store.migration_files import known_migrations
from evalserver.store.transaction import Row, Transaction
from tests.store.test_criteria import insert_without
from tests.store.test_jobs import submit
from tests.store.test_listing import ALL, listed, opened
from tests.store.test_sorting import listed as listed_in_order

LABELS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"series": "run", "step": "100"}, {"series": "run", "step": 100}),
    ({"series": "run", "step": "0"}, {"series": "run", "step": 0}),
    ({"step": str(MAX_STEP)}, {"step": MAX_STEP}),
    ({"step": str(MAX_STEP + 1)}, {}),
    ({"step": "9" * 30}, {}),
    ({"series": "run"}, {"series": "run"}),
    ({"series": " a-b ", "step": "007"}, {"series": " a-b ", "step": 7}),
    ({"series": "", "step": ""}, {}),
    ({"step": "last"}, {}),
    ({"step": "1.5"}, {}),
    ({"step": "-1"}, {}),
    ({"step": "+1"}, {}),
    ({"step": " 1"}, {}),
    ({"step": "1_000"}, {}),
    ({"step": "١٢"}, {}),
    ({"run": "x"}, {}),
]
"""Labels, and the fields that they set."""


@pytest.mark.parametrize(("labels", "expected"), LABELS)
def test_labels_set_the_fields_of_their_names(
    labels: dict[str, str], expected: dict[str, Any]
) -> None:
    assert fields_of_labels(labels) == expected


async def test_an_upgrade_takes_over_the_labels_of_existing_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "INSERT", insert_without("series", "step", "newest_first"))
    path = tmp_path / DATABASE_NAME
    migrate(path, migrations=known_migrations()[:13])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = Row
        for number, (labels, _) in enumerate(LABELS):
            request = EvaluateRequest("dummy", ("mme",), labels=labels)
            new = NewJob(str(number), "lmms_eval", request, "alice")
            submission.submit_batch(Transaction(connection, []), [new], "2030")

    async with opened(tmp_path) as store:
        for number, (labels, expected) in enumerate(LABELS):
            job = await store.queries.job(str(number))
            assert (job.series, job.step) == (expected.get("series"), expected.get("step"))
            assert job.labels == labels


async def test_jobs_are_found_by_series_and_step(store: Store) -> None:
    first = await submit(store, series="run", step=100)
    second = await submit(store, series="run", step=200)
    other = await submit(store, series="other", step=200)
    await submit(store)

    assert await listed(store, JobFilter(series="run")) == [second, first]
    assert await listed(store, JobFilter(step=200)) == [other, second]
    assert await listed(store, JobFilter(series="run", step=200)) == [second]


async def test_jobs_of_the_first_step_are_found(store: Store) -> None:
    first = await submit(store, step=0)
    await submit(store)

    assert await listed(store, JobFilter(step=0)) == [first]


async def test_jobs_without_a_step_come_last_in_the_order_of_steps(store: Store) -> None:
    without = await submit(store)
    high = await submit(store, step=MAX_STEP)
    low = await submit(store, step=9)

    assert await listed_in_order(store, ALL, Order(SortKey.STEP)) == [low, high, without]
    upside_down = Order(SortKey.STEP, descending=True)
    assert await listed_in_order(store, ALL, upside_down) == [high, low, without]
