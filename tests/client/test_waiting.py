"""``wait_for_job`` with different and faulty servers."""

from typing import Any

import pytest

from evalserver.client import JobCancelled, JobFailed, NotFound, Pruned, ServerUnreachable
from tests.client.both import call
from tests.client.conftest import MakeClient
from tests.client.faulty import Disconnect, FaultyServer, Reply, busy, problem, unresponsive_port
from tests.support import free_port


def job(status: str, event_id: int | None = None, **fields: Any) -> Reply:
    """Return a response with a job; without an event id, as lmms-eval's server sends it."""
    record = {"job_id": "j1", "status": status, "position_in_queue": None, "error": None}
    known = {} if event_id is None else {"event_id": event_id}
    return Reply({**record, **known, **fields})


async def test_long_polls_request_only_changes(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1", job("queued", 3), job("running", 4), job("completed", 5))
    client = make_quick_client(faulty.url)

    ended = await call(client, "wait_for_job", "j1", verbose=False)

    assert ended["status"] == "completed"
    assert [dict(each.query) for each in faulty.received] == [
        {},
        {"wait": "5.000", "since": "3"},
        {"wait": "5.000", "since": "4"},
    ]
    assert client.pauses == []


async def test_lmms_evals_server_is_polled(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1", job("queued"), job("running"), job("running"), job("completed"))
    client = make_quick_client(faulty.url)

    await call(client, "wait_for_job", "j1", poll_interval=20, verbose=False)

    assert [dict(each.query) for each in faulty.received] == [{}, {}, {}, {}]
    assert client.pauses == pytest.approx([20, 20, 20], abs=5)


async def test_a_server_without_long_polling_is_polled_with_pauses(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    running = job("running", 4)
    faulty.set_replies("/jobs/j1", running, running, running, job("completed", 5))
    client = make_quick_client(faulty.url)

    await call(client, "wait_for_job", "j1", poll_interval=30, verbose=False)

    assert client.pauses == pytest.approx([30, 30], abs=5)


async def test_an_interval_of_zero_still_has_pauses(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1", job("running"), job("running"), job("completed"))
    client = make_quick_client(faulty.url)

    await call(client, "wait_for_job", "j1", poll_interval=0, verbose=False)

    assert all(pause > 0 for pause in client.pauses)
    assert len(client.pauses) == 2


async def test_a_long_poll_is_no_longer_than_the_server_allows(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1", job("queued", 3), job("completed", 5))

    await call(make_quick_client(faulty.url), "wait_for_job", "j1", 600, verbose=False)

    assert faulty.received[-1].query["wait"] == "60.000"


async def test_a_failed_job_raises_with_its_error(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(
        "/jobs/j1", job("failed", 5, error="It broke\nLast lines of eval.log:\nBoom")
    )

    with pytest.raises(
        JobFailed, match=r"^Job failed: It broke\nLast lines of eval.log:\nBoom$"
    ) as e:
        await call(make_client(faulty.url), "wait_for_job", "j1", verbose=False)

    assert e.value.job["status"] == "failed"


async def test_a_cancelled_job_raises(make_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.set_replies("/jobs/j1", job("cancelled", 5))

    with pytest.raises(JobCancelled, match="j1 was cancelled"):
        await call(make_client(faulty.url), "wait_for_job", "j1", verbose=False)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, Pruned)])
async def test_a_missing_job_raises(
    make_client: MakeClient, faulty: FaultyServer, status: int, kind: type[Exception]
) -> None:
    faulty.set_replies("/jobs/j1", job("running", 4), problem(status, "Job j1 is not there"))

    with pytest.raises(kind, match="Job j1 is not there"):
        await call(make_client(faulty.url), "wait_for_job", "j1", verbose=False)


async def test_waiting_times_out(make_quick_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.set_replies("/jobs/j1", job("running", 4))
    client = make_quick_client(faulty.url)

    with pytest.raises(TimeoutError, match="Timeout waiting for job j1: it is running"):
        await call(client, "wait_for_job", "j1", timeout=12, verbose=False)

    assert sum(client.pauses) == pytest.approx(12, abs=4)


async def test_a_timeout_of_zero_sends_one_request(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1", job("queued", 3))
    client = make_quick_client(faulty.url)

    with pytest.raises(TimeoutError, match="it is queued"):
        await call(client, "wait_for_job", "j1", timeout=0, verbose=False)

    assert (len(faulty.received), client.pauses) == (1, [])


async def test_a_finished_job_is_returned_immediately(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1", job("completed", 5))

    ended = await call(make_client(faulty.url), "wait_for_job", "j1", timeout=0, verbose=False)

    assert ended["status"] == "completed"


async def test_waiting_times_out_while_the_server_is_unreachable(
    make_quick_client: MakeClient,
) -> None:
    client = make_quick_client(f"http://127.0.0.1:{free_port()}", retry_for=1000)

    with pytest.raises(TimeoutError, match=r"j1: http://127.0.0.1:.* does not answer"):
        await call(client, "wait_for_job", "j1", timeout=30, verbose=False)


async def test_waiting_times_out_while_the_server_does_not_respond(make_client: MakeClient) -> None:
    async with unresponsive_port() as url:
        client = make_client(url)
        with pytest.raises(TimeoutError, match="does not answer"):
            await call(client, "wait_for_job", "j1", timeout=0.2, verbose=False)


async def test_an_unreachable_server_is_given_up(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    client = make_quick_client(faulty.url, retry_for=60)
    faulty.set_replies("/jobs/j1", job("running", 4), Disconnect())

    with pytest.raises(ServerUnreachable, match=r"does not answer, for [3-6].* s now"):
        await call(client, "wait_for_job", "j1", verbose=False)


async def test_each_response_of_the_server_restarts_the_retry_limit(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    unavailable = [busy(502, Retry_After="50")]
    faulty.set_replies(
        "/jobs/j1",
        *(
            job("queued", 3),
            *unavailable,
            job("running", 4),
            *unavailable,
            *unavailable,
            job("completed", 5),
        ),
    )
    client = make_quick_client(faulty.url, retry_for=120)

    await call(client, "wait_for_job", "j1", verbose=False)

    assert sum(client.pauses) > 120


async def test_each_change_is_printed_once(
    make_quick_client: MakeClient, faulty: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = {"stage": "Model Responding", "fraction": 0.4}
    faulty.set_replies(
        "/jobs/j1",
        *[job("queued", position_in_queue=2)] * 2,
        job("queued", position_in_queue=1),
        job("running", progress=None),
        *[job("running", progress=progress)] * 2,
        job("completed"),
    )

    await call(make_quick_client(faulty.url), "wait_for_job", "j1")

    assert capsys.readouterr().out.splitlines() == [
        "Job j1 queued (position: 2)",
        "Job j1 queued (position: 1)",
        "Job j1 running",
        "Job j1 running (Model Responding 40%)",
        "Job j1 completed",
    ]


async def test_a_callback_gets_each_state_of_the_job(
    make_quick_client: MakeClient, faulty: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty.set_replies("/jobs/j1", job("queued", 3), job("running", 4), job("completed", 5))
    seen: list[str] = []

    await call(
        make_quick_client(faulty.url),
        "wait_for_job",
        "j1",
        verbose=False,
        on_look=lambda record: seen.append(record["status"]),
    )

    assert seen == ["queued", "running", "completed"]
    assert capsys.readouterr().out == ""
