"""Which jobs a filter finds."""

import random
import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.job import Job, NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import DATABASE_NAME, JobFilter, Store, check_database, snapshot, submission
from evalserver.store.listing import SUBMISSIONS_OF_A_SPAN
from evalserver.store.migrate import migrate
from evalserver.store.migration_files import known_migrations
from evalserver.store.transaction import Row, Transaction
from tests.store.test_jobs import PLENTY, complete, start, submit
from tests.store.test_listing import ALL, Hours, listed, opened, pages
from tests.store.test_migrate import rows

HOURS = [Hours(hour).text for hour in range(24)]


def insert_without(*last_columns: str) -> str:
    """The statement of a schema that did not have the last columns of a new job yet."""
    count = len(submission.COLUMNS)
    values = [f", json_extract(value, '$[{count - 1 - n}]')" for n in range(len(last_columns))]
    shorter = submission.INSERT.replace(f", {', '.join(last_columns)})", ")")
    return shorter.replace("".join(reversed(values)), "")


INSERT_OF_THE_FIRST_SCHEMA = insert_without(
    "executor", "model_title", "batch_id", "series", "step", "newest_first"
)
INSERT_WITHOUT_TITLES = insert_without("model_title", "batch_id", "series", "step", "newest_first")
MANY = 3 * SUBMISSIONS_OF_A_SPAN


async def submit_as(store: Store, submitter: str, engine: str = "lmms_eval") -> str:
    """Submit a job of this submitter for an engine; returns its id."""
    job = NewJob(str(uuid.uuid4()), engine, EvaluateRequest("dummy", ("mme",)), submitter)
    await store.jobs.submit(job)
    return job.job_id


async def submit_named(store: Store, job_id: str) -> None:
    """Submit a job with this id."""
    await store.jobs.submit(
        NewJob(job_id, "lmms_eval", EvaluateRequest("dummy", ("mme",)), "alice")
    )


def submit_at(path: Path, times: Iterable[str]) -> None:
    """Insert jobs named 0, 1, 2, ... into a database, each created at its time."""
    request = EvaluateRequest("dummy", ("mme", "mme"), labels={"team": "a"})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = Row
        connection.execute("BEGIN")
        for number, at in enumerate(times):
            job = NewJob(str(number), "lmms_eval", request, "alice")
            submission.submit_batch(Transaction(connection, []), [job], at)
        connection.execute("COMMIT")


@pytest.mark.parametrize("part", [slice(None), slice(0, 30), slice(-4, None), slice(-12, None)])
async def test_a_job_is_found_by_the_beginning_or_the_end_of_its_id(
    store: Store, part: slice
) -> None:
    await submit_named(store, "0199aaaa-0000-7000-8000-000000001111")
    wanted = "0199aaaa-0000-7000-8000-0000abcd2222"
    await submit_named(store, wanted)

    assert await listed(store, JobFilter(job_id=wanted[part])) == [wanted]


async def test_a_part_of_an_id_may_mean_several_jobs(store: Store) -> None:
    several = ["0199aaaa-0000-7000-8000-00000000beef", "beefaaaa-0000-7000-8000-000000000000"]
    for each in several:
        await submit_named(store, each)

    assert await listed(store, JobFilter(job_id="beef")) == several[::-1]


async def test_a_part_of_an_id_combines_with_other_filters(store: Store) -> None:
    await submit_named(store, "0199aaaa-0000-7000-8000-000000001111")

    assert await listed(store, JobFilter(job_id="1111", model="other")) == []


async def test_a_model_is_found_by_the_checkpoint_that_lists_show(store: Store) -> None:
    wanted = await submit(store, model_args={"pretrained": "/ckpt/step-100"})
    await submit(store, model_args={"pretrained": "/ckpt/step-1000"})

    assert await listed(store, JobFilter(model="/ckpt/step-100")) == [wanted]


async def test_a_model_is_found_by_the_model_of_the_request(store: Store) -> None:
    wanted = await submit(store, model="qwen2_vl", model_args={"pretrained": "/ckpt/step-100"})
    await submit(store, model="dummy")

    assert await listed(store, JobFilter(model="qwen2_vl")) == [wanted]


async def test_a_secret_in_the_name_of_a_checkpoint_finds_no_job(store: Store) -> None:
    url = "https://bob:hunter2secret@host/model"
    await submit(store, model_args={"pretrained": url})

    assert await listed(store, JobFilter(model=url)) == []


async def test_jobs_are_found_by_one_of_several_statuses(store: Store) -> None:
    completed = await complete(store)
    running = await start(store)
    cancelled = await submit(store)
    await store.jobs.cancel_queued(cancelled, "bob", PLENTY)
    queued = await submit(store)

    assert await listed(store, _with(Status.QUEUED)) == [queued]
    assert await listed(store, _with(Status.QUEUED, Status.COMPLETED)) == [queued, completed]
    assert await listed(store, _with(*Status)) == [queued, cancelled, running, completed]
    assert await listed(store, _with(Status.FAILED)) == []


async def test_a_job_is_found_by_its_current_status(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.interrupt(job_id, "lost")

    assert await listed(store, _with(Status.RUNNING)) == []
    assert await listed(store, _with(Status.QUEUED)) == [job_id]


async def test_jobs_are_found_by_model(store: Store) -> None:
    small = await submit(store, model="small")
    await submit(store, model="Small")

    assert await listed(store, JobFilter(model="small")) == [small]


async def test_jobs_are_found_by_any_of_their_tasks(store: Store) -> None:
    both = await submit(store, tasks=("mme", "gsm8k", "mme"))
    one = await submit(store, tasks=("gsm8k",))

    assert await listed(store, JobFilter(task="mme")) == [both]
    assert await listed(store, JobFilter(task="gsm8k")) == [one, both]


async def test_jobs_are_found_by_engine_and_by_submitter(store: Store) -> None:
    alices = await submit_as(store, "alice")
    bobs = await submit_as(store, "bob", "lm_eval")

    assert await listed(store, JobFilter(engine="lm_eval")) == [bobs]
    assert await listed(store, JobFilter(submitted_by="alice")) == [alices]


@pytest.mark.parametrize("name", ["team", 'a "name"', "back\\slash", "ünï", "a.b[0]", "a=b:c", " "])
@pytest.mark.parametrize("text", ["a", "", 'a "text"', "\\u0041", "ünï", "%", "null"])
async def test_labels_may_contain_any_characters(store: Store, name: str, text: str) -> None:
    job_id = await submit(store, labels={name: text, "other": "x"})
    await submit(store, labels={name: f"{text}x"})

    assert await listed(store, JobFilter(labels=((name, text),))) == [job_id]


async def test_a_job_must_have_all_requested_labels(store: Store) -> None:
    both = await submit(store, labels={"team": "a", "run": "1"})
    await submit(store, labels={"team": "a"})
    await submit(store, labels={"run": "1"})

    assert await listed(store, JobFilter(labels=(("team", "a"), ("run", "1")))) == [both]


async def test_time_ranges_include_the_start_and_exclude_the_end(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    migrate(path)
    submit_at(path, HOURS[:6])
    async with opened(tmp_path) as store:
        after, before = HOURS[2], HOURS[4]

        assert await listed(store, JobFilter(created_after=after)) == ["5", "4", "3", "2"]
        assert await listed(store, JobFilter(created_before=before)) == ["3", "2", "1", "0"]
        both = JobFilter(created_after=after, created_before=before)
        assert await listed(store, both) == ["3", "2"]
        assert await listed(store, JobFilter(created_after=HOURS[6])) == []


async def test_time_ranges_are_correct_over_many_submissions_with_a_clock_set_back(
    tmp_path: Path,
) -> None:
    chance = random.Random(4)
    path = tmp_path / DATABASE_NAME
    migrate(path)
    times = [chance.choices([HOURS[n * 24 // MANY], chance.choice(HOURS)], [9, 1])[0]
             for n in range(MANY)]  # fmt: skip
    submit_at(path, times)
    async with opened(tmp_path) as store:
        for _ in range(20):
            after, before = chance.choice(HOURS), chance.choice(HOURS)
            wanted = JobFilter(created_after=after, created_before=before)
            found = [job_id for page in await pages(store, wanted, 200) for job_id in page]

            assert found == [str(n) for n in reversed(range(MANY)) if after <= times[n] < before]


async def test_combined_filters_find_the_jobs_that_match_all_of_them(store: Store) -> None:
    chance = random.Random(7)
    for _ in range(300):
        request = {
            "model": chance.choice("ab"),
            "tasks": tuple(chance.sample(("mme", "mmmu", "gsm8k"), 2)),
            "labels": {name: chance.choice("12") for name in chance.sample(("run", "team"), 1)},
        }
        await chance.choice([submit, start, complete])(store, **request)
    all_jobs = (await store.queries.page(ALL, 500)).jobs

    for _ in range(200):
        wanted = _random_filter(chance, all_jobs)

        assert await listed(store, wanted, 500) == [
            job.job_id for job in all_jobs if _matches(job, wanted)
        ], wanted


async def test_a_pruned_job_is_not_found(store: Store, tmp_path: Path) -> None:
    await complete(store, labels={"team": "a"})

    await store.jobs.prune(keep=0)

    assert await listed(store) == []
    assert await listed(store, JobFilter(task="mme")) == []
    assert await listed(store, JobFilter(labels=(("team", "a"),))) == []
    assert rows(tmp_path, "SELECT * FROM job_tasks") == []
    assert rows(tmp_path, "SELECT * FROM job_labels") == []


async def test_jobs_of_an_older_database_are_found_after_the_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "INSERT", INSERT_OF_THE_FIRST_SCHEMA)
    path = tmp_path / DATABASE_NAME
    migrate(path, migrations=known_migrations()[:1])
    submit_at(path, [HOURS[n // 100] for n in range(600)])

    async with opened(tmp_path) as store:
        wanted = JobFilter(
            frozenset({Status.QUEUED}), "dummy", "mme", "lmms_eval", (("team", "a"),), "alice",
            HOURS[1], HOURS[2],
        )  # fmt: skip
        assert await listed(store, wanted) == [str(n) for n in range(199, 99, -1)]
        with snapshot(path) as database:
            assert check_database(database).problem is None


def _with(*statuses: Status) -> JobFilter:
    return JobFilter(statuses=frozenset(statuses))


def _random_filter(chance: random.Random, them: list[Job]) -> JobFilter:
    """Random criteria, taken from different jobs."""
    choices: dict[str, Any] = {
        "statuses": frozenset(chance.sample(list(Status), chance.randint(1, 4))),
        "model": chance.choice(them).request.model,
        "task": chance.choice(chance.choice(them).request.tasks),
        "engine": "lmms_eval",
        "labels": tuple(chance.choice(them).labels.items()),
        "submitted_by": chance.choice(["alice", "bob"]),
        "created_after": chance.choice(them).created_at,
        "created_before": chance.choice(them).created_at,
    }
    return JobFilter(**{name: choices[name] for name in chance.sample(list(choices), 3)})


def _matches(job: Job, wanted: JobFilter) -> bool:
    return (
        (not wanted.statuses or job.status in wanted.statuses)
        and wanted.model in (None, job.request.model)
        and (wanted.task is None or wanted.task in job.request.tasks)
        and wanted.engine in (None, job.engine)
        and set(wanted.labels) <= set(job.labels.items())
        and wanted.submitted_by in (None, job.submitted_by)
        and (wanted.created_after or "") <= job.created_at
        and job.created_at < (wanted.created_before or "~")
    )


async def test_jobs_of_an_older_database_are_found_by_their_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "INSERT", INSERT_WITHOUT_TITLES)
    migrate(tmp_path / DATABASE_NAME, migrations=known_migrations()[:11])
    requests = {
        "pretrained": EvaluateRequest("a", ("mme",), {"model": "other", "pretrained": "wanted"}),
        "model": EvaluateRequest("b", ("mme",), {"model": "wanted", "pretrained": 3}),
        "neither": EvaluateRequest("wanted", ("mme",), {"pretrained": ""}),
        "unwanted": EvaluateRequest("c", ("mme",), {"pretrained": "not", "model": "wanted"}),
    }
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as connection:
        connection.row_factory = Row
        for name, request in requests.items():
            new = NewJob(name, "lmms_eval", request, "alice")
            submission.submit_batch(Transaction(connection, []), [new], HOURS[0])

    async with opened(tmp_path) as store:
        assert await listed(store, JobFilter(model="wanted")) == ["neither", "model", "pretrained"]
