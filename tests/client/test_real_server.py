"""The clients against a real server that is stopped, killed or unreachable at times."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evalserver.client import EvalClient, JobCancelled, JobFailed, NotFound, RequestFailed
from tests.client.both import call, collect, rows
from tests.client.conftest import MakeClient
from tests.client.proxy import CuttingProxy
from tests.support import ServerProcess, until

HANG = {"behave": "hang"}


async def submit(client: Any, **fields: Any) -> str:
    """Submit an evaluation, and return its job id."""
    job = await call(client, "evaluate", **{"model": "dummy", "tasks": ["mme"], **fields})
    return str(job["job_id"])


async def test_waiting_for_a_job_survives_a_crash_of_the_server(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client, model_args={"seconds": 3})
        waiting = asyncio.create_task(call(client, "wait_for_job", job_id, verbose=False))
        await server.api.wait_for_harness(job_id)
        server.kill()
        await asyncio.sleep(2)
        assert not waiting.done()
        await server.start()

        job = await waiting

    assert (job["status"], job["attempt"]) == ("completed", 1)


async def test_waiting_for_a_job_survives_a_restart_of_the_server(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client, model_args={"seconds": 3})
        waiting = asyncio.create_task(call(client, "wait_for_job", job_id, verbose=False))
        await server.api.wait_for_harness(job_id)
        server.stop()
        await server.start()

        assert (await waiting)["status"] == "completed"


async def test_the_end_of_a_job_is_known_long_before_the_next_poll(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client, model_args={"seconds": 1})

        async with asyncio.timeout(60):
            await call(client, "wait_for_job", job_id, poll_interval=10_000, verbose=False)


async def test_a_submission_during_an_outage_is_submitted_once(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        server.stop()
        submitting = asyncio.create_task(submit(client))
        await asyncio.sleep(1)
        await server.start()

        job_id = await submitting

        assert [job["job_id"] for job in await collect(client, "jobs")] == [job_id]


async def test_a_submission_whose_response_is_lost_creates_one_job(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server, CuttingProxy(server.url) as proxy:
        client = make_client(proxy.url)
        proxy.responses_to_drop = 1

        job_id = await submit(client)

        assert proxy.cuts == 1
        assert [job["job_id"] for job in await collect(client, "jobs")] == [job_id]


async def test_the_same_key_returns_the_same_job(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)

        jobs = {await submit(client, idempotency_key="k1") for _ in range(3)}

        assert len(jobs) == 1


async def test_one_task_may_be_a_string(server: ServerProcess, make_client: MakeClient) -> None:
    async with server:
        job_id = await submit(make_client(server.url), tasks="mme")

        assert (await server.api.job(job_id))["request"]["tasks"] == ["mme"]


@pytest.mark.parametrize("key", ["é", "a\nb"])
async def test_a_key_that_is_not_a_valid_header_is_rejected_immediately(
    make_client: MakeClient, key: str
) -> None:
    with pytest.raises(ValueError, match=r"^idempotency_key: "):
        await submit(make_client("http://127.0.0.1:1"), idempotency_key=key)


async def test_a_failed_job_raises_with_the_end_of_its_log(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client, model_args={"behave": "crash"})

        with pytest.raises(JobFailed) as raised:
            await call(client, "wait_for_job", job_id, verbose=False)

    assert str(raised.value).startswith("Job failed: The evaluation failed with return code 1")
    assert "RuntimeError: the stand-in was told to crash" in str(raised.value).splitlines()[-1]


async def test_waiting_for_a_cancelled_job_raises(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client, model_args=HANG)
        waiting = asyncio.create_task(call(client, "wait_for_job", job_id, verbose=False))
        await server.api.when(job_id, "running")

        await call(client, "cancel_job", job_id)

        with pytest.raises(JobCancelled):
            await waiting


async def test_an_error_lists_every_invalid_field(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        with pytest.raises(RequestFailed) as raised:
            await submit(make_client(server.url), limit=0, num_gpus=-1)

    assert {each["field"] for each in raised.value.errors} == {"limit", "num_gpus"}
    assert "\n  limit: " in str(raised.value)


async def test_an_unknown_job_is_not_found(server: ServerProcess, make_client: MakeClient) -> None:
    async with server:
        for job_id in ("never-was", "../queue", "a b?c#d"):
            with pytest.raises(NotFound):
                await call(make_client(server.url), "get_job", job_id)


async def test_jobs_are_iterated_page_by_page(
    server: ServerProcess, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalserver.client.listing.PAGE_SIZE", 2)
    async with server:
        client = make_client(server.url)
        await submit(client, model_args=HANG)
        expected = [await submit(client, labels={"team": "a=b", "run": "1"}) for _ in range(5)]

        found = await collect(client, "jobs", status=["queued", "failed"], labels={"team": "a=b"})

        assert [job["job_id"] for job in found] == expected[::-1]


async def test_a_finished_job_is_retried(server: ServerProcess, make_client: MakeClient) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client)
        await call(client, "wait_for_job", job_id, verbose=False)

        await call(client, "retry_job", job_id)

        job = await call(client, "wait_for_job", job_id, verbose=False)
        assert job["attempt"] == 2


async def test_events_continue_across_a_restart_without_gaps_or_repetitions(
    server: ServerProcess, make_client: MakeClient, tmp_path: Path
) -> None:
    end_of_job = tmp_path / "end"
    async with server:
        client = make_client(server.url)
        job_id = await submit(client, model_args={"until": str(end_of_job)})
        following = asyncio.create_task(collect(client, "events", job_id))
        await server.api.wait_for_harness(job_id)
        server.kill()
        await asyncio.sleep(1)
        await server.start()
        await until(server.is_reattached)
        end_of_job.touch()

        events = await following

    status_events = [event.data["event"] for event in events if event.kind == "status"]
    assert status_events == ["submitted", "claimed", "reattached", "completed"]
    assert [event.kind for event in events if event.kind != "progress"][-1] == "end"


async def test_events_start_after_the_given_one(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        job_id = await submit(client)
        events = [e for e in await collect(client, "events", job_id) if e.kind == "status"]

        rest = await collect(client, "events", job_id, events[0].id)

        assert [e for e in rest if e.kind == "status"] == events[1:]


async def test_the_events_of_all_jobs_are_followed(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        client = make_client(server.url)
        first, second = await submit(client), await submit(client)
        ended: list[str] = []

        async for event in rows(client, "events", last_event_id=0):
            if event.data.get("to") == "completed":
                ended.append(event.data["job_id"])
            if len(ended) == 2:
                break

    assert ended == [first, second]


async def test_a_cut_event_stream_is_reopened(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server, CuttingProxy(server.url) as proxy:
        client = make_client(proxy.url)
        job_id = await submit(client, model_args={"seconds": 3})
        following = asyncio.create_task(collect(client, "events", job_id))
        await server.api.when(job_id, "running")
        proxy.cut_all()

        events = await following

    status_events = [event.data["event"] for event in events if event.kind == "status"]
    assert status_events == ["submitted", "claimed", "completed"]
    assert proxy.cuts >= 1


async def test_threads_share_a_client(server: ServerProcess) -> None:
    def evaluate(client: EvalClient) -> str:
        job_id = client.evaluate(model="dummy", tasks=["mme"])["job_id"]
        return str(client.wait_for_job(job_id, verbose=False)["status"])

    async with server:
        with EvalClient(server.url) as client, ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            jobs = [loop.run_in_executor(pool, evaluate, client) for _ in range(4)]
            ended = await asyncio.gather(*jobs)

    assert ended == ["completed"] * 4


async def test_the_plain_client_works_within_a_running_loop(server: ServerProcess) -> None:
    """As in a notebook, whose cells run in an event loop."""
    async with server:
        with EvalClient(server.url) as client:
            job_id = client.evaluate(model="dummy", tasks=["mme"])["job_id"]
            client.wait_for_job(job_id, verbose=False)
            kinds = [event.kind for event in client.events(job_id)]

    assert kinds[-1] == "end"


async def test_an_abandoned_stream_closes_its_connection(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server, CuttingProxy(server.url) as proxy:
        client = make_client(proxy.url)
        job_id = await submit(client, model_args=HANG)
        stream = client.events(job_id)
        await (asyncio.to_thread(next, stream) if isinstance(client, EvalClient) else anext(stream))
        with_stream = proxy.connections

        await (
            asyncio.to_thread(stream.close) if isinstance(client, EvalClient) else stream.aclose()
        )

        await until(_fewer_connections(proxy, with_stream))


def _fewer_connections(proxy: CuttingProxy, before: int) -> Callable[[], Awaitable[bool]]:
    async def fewer() -> bool:
        return proxy.connections < before

    return fewer
