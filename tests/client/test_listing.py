"""How the clients send filters and read pages of lists."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from evalserver.client import EvalClient
from tests.client.both import call, collect
from tests.client.conftest import MakeClient
from tests.client.faulty import FaultyServer, Reply

EMPTY = Reply({"jobs": [], "next": None})


async def test_filters_are_sent_as_the_server_expects_them(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs", EMPTY)

    await collect(
        make_client(faulty.url),
        "jobs",
        status=["queued", "running"],
        model="qwen2_vl",
        labels={"team": "a=b", "run": "1"},
        created_after="2030-01-31",
    )

    [asked] = faulty.received
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
async def test_a_datetime_is_sent_with_its_time_zone(
    make_client: MakeClient, faulty: FaultyServer, moment: datetime
) -> None:
    faulty.set_replies("/jobs", EMPTY)

    await collect(make_client(faulty.url), "jobs", created_before=moment)

    sent = datetime.fromisoformat(faulty.received[0].query["created_before"])
    assert sent == datetime(2030, 1, 31, 12, tzinfo=UTC)


async def test_an_iterator_keeps_its_client_open(faulty: FaultyServer) -> None:
    faulty.set_replies("/jobs", Reply({"jobs": [{}], "next": "c1"}), Reply({"jobs": [{}]}))
    jobs = EvalClient(faulty.url).jobs()

    assert await asyncio.to_thread(list, jobs) == [{}, {}]


async def test_pages_are_requested_lazily(make_client: MakeClient, faulty: FaultyServer) -> None:
    first = Reply({"samples": [{"index": 0}, {"index": 1}], "next": "c1"})
    last = Reply({"samples": [{"index": 2}], "next": None})
    faulty.set_replies("/jobs/j1/samples/a%2Fb", first, last)

    samples = await collect(make_client(faulty.url), "samples", "j1", "a/b", only="wrong")

    assert [sample["index"] for sample in samples] == [0, 1, 2]
    assert [each.query.get("cursor") for each in faulty.received] == [None, "c1"]
    assert {each.query["only"] for each in faulty.received} == {"wrong"}


async def test_results_are_the_rows(make_client: MakeClient, faulty: FaultyServer) -> None:
    row = {"task": "mme", "metric": "acc", "value": 0.5}
    faulty.set_replies("/jobs/j1/results", Reply({"job_id": "j1", "results": [row]}))

    assert await call(make_client(faulty.url), "results", "j1") == [row]
