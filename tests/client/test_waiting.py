"""``wait_for_job``, against servers of every kind."""

from typing import Any

import pytest

from evalserver.client import JobCancelled, JobFailed, NotFound, Pruned, ServerUnreachable
from tests.client.both import call
from tests.client.conftest import MakeClient
from tests.client.faulty import Answer, Cut, FaultyServer, busy, dark_port, problem
from tests.support import free_port


def job(status: str, event_id: int | None = None, **fields: Any) -> Answer:
    """A job's record; without an event id it is one of lmms-eval's server."""
    record = {"job_id": "j1", "status": status, "position_in_queue": None, "error": None}
    known = {} if event_id is None else {"event_id": event_id}
    return Answer({**record, **known, **fields})


async def test_a_server_that_holds_its_answer_is_asked_for_what_is_new(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1", job("queued", 3), job("running", 4), job("completed", 5))
    client = make_quick_client(faulty.url)

    ended = await call(client, "wait_for_job", "j1", verbose=False)

    assert ended["status"] == "completed"
    assert [dict(each.query) for each in faulty.asked] == [
        {},
        {"wait": "5.000", "since": "3"},
        {"wait": "5.000", "since": "4"},
    ]
    assert client.pauses == []


async def test_lmms_evals_server_is_polled(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1", job("queued"), job("running"), job("running"), job("completed"))
    client = make_quick_client(faulty.url)

    await call(client, "wait_for_job", "j1", poll_interval=20, verbose=False)

    assert [dict(each.query) for each in faulty.asked] == [{}, {}, {}, {}]
    assert client.pauses == pytest.approx([20, 20, 20], abs=5)


async def test_a_server_that_does_not_hold_its_answer_is_not_asked_without_pause(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    running = job("running", 4)
    faulty.answers("/jobs/j1", running, running, running, job("completed", 5))
    client = make_quick_client(faulty.url)

    await call(client, "wait_for_job", "j1", poll_interval=30, verbose=False)

    assert client.pauses == pytest.approx([30, 30], abs=5)


async def test_nobody_can_ask_without_pause(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1", job("running"), job("running"), job("completed"))
    client = make_quick_client(faulty.url)

    await call(client, "wait_for_job", "j1", poll_interval=0, verbose=False)

    assert all(pause > 0 for pause in client.pauses)
    assert len(client.pauses) == 2


async def test_no_answer_is_held_for_longer_than_a_server_allows(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1", job("queued", 3), job("completed", 5))

    await call(make_quick_client(faulty.url), "wait_for_job", "j1", 600, verbose=False)

    assert faulty.asked[-1].query["wait"] == "60.000"


async def test_a_failed_job_is_raised_with_its_error(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1", job("failed", 5, error="It broke\nLast lines of eval.log:\nBoom"))

    with pytest.raises(
        JobFailed, match=r"^Job failed: It broke\nLast lines of eval.log:\nBoom$"
    ) as e:
        await call(make_client(faulty.url), "wait_for_job", "j1", verbose=False)

    assert e.value.job["status"] == "failed"


async def test_a_cancelled_job_is_raised(make_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.answers("/jobs/j1", job("cancelled", 5))

    with pytest.raises(JobCancelled, match="j1 was cancelled"):
        await call(make_client(faulty.url), "wait_for_job", "j1", verbose=False)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, Pruned)])
async def test_a_job_that_is_not_there_is_raised(
    make_client: MakeClient, faulty: FaultyServer, status: int, kind: type[Exception]
) -> None:
    faulty.answers("/jobs/j1", job("running", 4), problem(status, "Job j1 is not there"))

    with pytest.raises(kind, match="Job j1 is not there"):
        await call(make_client(faulty.url), "wait_for_job", "j1", verbose=False)


async def test_time_runs_out(make_quick_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.answers("/jobs/j1", job("running", 4))
    client = make_quick_client(faulty.url)

    with pytest.raises(TimeoutError, match="Timeout waiting for job j1: it is running"):
        await call(client, "wait_for_job", "j1", timeout=12, verbose=False)

    assert sum(client.pauses) == pytest.approx(12, abs=4)


async def test_no_time_is_one_look(make_quick_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.answers("/jobs/j1", job("queued", 3))
    client = make_quick_client(faulty.url)

    with pytest.raises(TimeoutError, match="it is queued"):
        await call(client, "wait_for_job", "j1", timeout=0, verbose=False)

    assert (len(faulty.asked), client.pauses) == (1, [])


async def test_a_job_that_has_ended_needs_no_time(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1", job("completed", 5))

    ended = await call(make_client(faulty.url), "wait_for_job", "j1", timeout=0, verbose=False)

    assert ended["status"] == "completed"


async def test_time_runs_out_while_the_server_is_away(make_quick_client: MakeClient) -> None:
    client = make_quick_client(f"http://127.0.0.1:{free_port()}", retry_for=1000)

    with pytest.raises(TimeoutError, match=r"j1: http://127.0.0.1:.* does not answer"):
        await call(client, "wait_for_job", "j1", timeout=30, verbose=False)


async def test_time_runs_out_while_the_server_says_nothing(make_client: MakeClient) -> None:
    async with dark_port() as url:
        client = make_client(url)
        with pytest.raises(TimeoutError, match="does not answer"):
            await call(client, "wait_for_job", "j1", timeout=0.2, verbose=False)


async def test_a_server_that_stays_away_is_given_up(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    client = make_quick_client(faulty.url, retry_for=60)
    faulty.answers("/jobs/j1", job("running", 4), Cut())

    with pytest.raises(ServerUnreachable, match=r"does not answer, for [3-6].* s now"):
        await call(client, "wait_for_job", "j1", verbose=False)


async def test_the_limit_counts_anew_each_time_that_the_server_answers(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    away = [busy(502, Retry_After="50")]
    faulty.answers(
        "/jobs/j1",
        *(job("queued", 3), *away, job("running", 4), *away, *away, job("completed", 5)),
    )
    client = make_quick_client(faulty.url, retry_for=120)

    await call(client, "wait_for_job", "j1", verbose=False)

    assert sum(client.pauses) > 120


async def test_what_is_new_is_printed_once(
    make_quick_client: MakeClient, faulty: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = {"stage": "Model Responding", "fraction": 0.4}
    faulty.answers(
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


async def test_who_waits_may_see_each_record(
    make_quick_client: MakeClient, faulty: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty.answers("/jobs/j1", job("queued", 3), job("running", 4), job("completed", 5))
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
