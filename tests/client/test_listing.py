"""What the clients ask for when they list, and what they make of the pages."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from evalserver.client import EvalClient
from tests.client.both import call, collect
from tests.client.conftest import MakeClient
from tests.client.faulty import Answer, FaultyServer

EMPTY = Answer({"jobs": [], "next": None})


async def test_filters_are_sent_as_the_server_reads_them(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs", EMPTY)

    await collect(
        make_client(faulty.url),
        "jobs",
        status=["queued", "running"],
        model="qwen2_vl",
        labels={"team": "a=b", "run": "1"},
        created_after="2030-01-31",
    )

    [asked] = faulty.asked
    assert asked.query["status"] == "queued,running"
    assert asked.query["model"] == "qwen2_vl"
    assert asked.query["created_after"] == "2030-01-31"
    assert asked.labels == ["team=a=b", "run=1"]
    assert "engine" not in asked.query


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2030, 1, 31, 12, tzinfo=UTC),
        datetime(2030, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
        datetime(2030, 1, 31, 12, tzinfo=UTC).astimezone().replace(tzinfo=None),
    ],
)
async def test_a_datetime_is_sent_with_its_zone(
    make_client: MakeClient, faulty: FaultyServer, moment: datetime
) -> None:
    faulty.answers("/jobs", EMPTY)

    await collect(make_client(faulty.url), "jobs", created_before=moment)

    sent = datetime.fromisoformat(faulty.asked[0].query["created_before"])
    assert sent == datetime(2030, 1, 31, 12, tzinfo=UTC)


async def test_rows_keep_their_client_open_when_nobody_else_does(faulty: FaultyServer) -> None:
    faulty.answers("/jobs", Answer({"jobs": [{}], "next": "c1"}), Answer({"jobs": [{}]}))
    jobs = EvalClient(faulty.url).jobs()

    assert await asyncio.to_thread(list, jobs) == [{}, {}]


async def test_pages_are_asked_for_as_they_are_needed(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    first = Answer({"samples": [{"index": 0}, {"index": 1}], "next": "c1"})
    last = Answer({"samples": [{"index": 2}], "next": None})
    faulty.answers("/jobs/j1/samples/a%2Fb", first, last)

    samples = await collect(make_client(faulty.url), "samples", "j1", "a/b", only="wrong")

    assert [sample["index"] for sample in samples] == [0, 1, 2]
    assert [each.query.get("cursor") for each in faulty.asked] == [None, "c1"]
    assert {each.query["only"] for each in faulty.asked} == {"wrong"}


async def test_results_are_the_rows(make_client: MakeClient, faulty: FaultyServer) -> None:
    row = {"task": "mme", "metric": "acc", "value": 0.5}
    faulty.answers("/jobs/j1/results", Answer({"job_id": "j1", "results": [row]}))

    assert await call(make_client(faulty.url), "results", "j1") == [row]
