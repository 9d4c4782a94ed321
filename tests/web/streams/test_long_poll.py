"""``GET /jobs/{job_id}?wait=``: a response that arrives when the job changes."""

import asyncio
import time
import uuid
from typing import Any

import pytest

from evalserver.monitoring.progress import Progress
from evalserver.web.keys import BUS, PROGRESS
from tests.conftest import MakeApi
from tests.support import Api
from tests.web import following
from tests.web.following import app, wait_for_subscribers

SOON_SECONDS = 30.0
"""Far less than ``wait=60``, far more than anything else takes."""


async def start_waiting(api: Api, path: str, status: int = 200) -> asyncio.Task[Any]:
    """Start a request that waits."""
    task = asyncio.create_task(api.call("GET", path, status))
    await wait_for_subscribers(api, 1)
    return task


@pytest.fixture
async def running(api: Api) -> str:
    """A job that keeps running."""
    return await following.running(api)


async def test_the_response_arrives_when_the_job_changes(api: Api, running: str) -> None:
    queued = await api.submit()
    response = await start_waiting(api, f"/jobs/{queued}?wait=60")

    await api.call("DELETE", f"/jobs/{queued}")
    changed = time.monotonic()

    assert (await response)["status"] == "cancelled"
    # The promise is fifty milliseconds; without the change the request would wait a minute.
    assert time.monotonic() - changed < 30


async def test_an_event_that_keeps_the_status_is_a_change(api: Api, running: str) -> None:
    response = await start_waiting(api, f"/jobs/{running}?wait=60")
    before = await api.job(running)

    await api.call("DELETE", f"/jobs/{running}")

    assert (await response)["event_id"] == before["event_id"] + 1


async def test_progress_is_no_change(api: Api, running: str) -> None:
    response = await start_waiting(api, f"/jobs/{running}?wait=60")

    app(api)[PROGRESS].update(running, Progress("Model Responding", fraction=0.5))
    before = await api.job(running)
    await api.call("DELETE", f"/jobs/{running}")

    assert (await response)["event_id"] > before["event_id"]


async def test_without_a_change_the_response_is_the_unmodified_job(api: Api, running: str) -> None:
    before = await api.job(running)

    assert await api.call("GET", f"/jobs/{running}?wait=0.2") == before


async def test_without_a_change_the_request_waits_for_its_full_time(api: Api, running: str) -> None:
    start = time.monotonic()

    await api.call("GET", f"/jobs/{running}?wait=0.3")

    assert time.monotonic() - start >= 0.3


async def test_a_job_the_client_has_not_seen_is_sent_immediately(api: Api, running: str) -> None:
    seen = (await api.job(running))["event_id"] - 1

    async with asyncio.timeout(SOON_SECONDS):
        await api.call("GET", f"/jobs/{running}?wait=60&since={seen}")


async def test_a_job_the_client_has_seen_is_waited_for(api: Api, running: str) -> None:
    seen = (await api.job(running))["event_id"]
    response = await start_waiting(api, f"/jobs/{running}?wait=60&since={seen}")

    await api.call("DELETE", f"/jobs/{running}")

    assert (await response)["event_id"] == seen + 1


async def test_a_finished_job_is_sent_immediately(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)

    async with asyncio.timeout(SOON_SECONDS):
        await api.call("GET", f"/jobs/{job_id}?wait=60")


async def test_a_client_that_has_seen_the_end_waits_for_a_retry(api: Api) -> None:
    job_id = await api.submit()
    end = (await api.finished(job_id))["event_id"]
    response = await start_waiting(api, f"/jobs/{job_id}?wait=60&since={end}")

    await api.call("POST", f"/jobs/{job_id}/retry")

    assert (await response)["event_id"] > end


async def test_a_job_pruned_during_the_wait_is_410(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    job_id = await api.submit()
    end = (await api.finished(job_id))["event_id"]
    response = await start_waiting(api, f"/jobs/{job_id}?wait=60&since={end}", 410)

    await api.finished(await api.submit())

    assert "was pruned" in (await response)["detail"]


async def test_an_unknown_job_is_404(api: Api) -> None:
    await api.call("GET", f"/jobs/{uuid.uuid4()}?wait=60", 404)


async def test_a_stopping_server_sends_the_current_job(api: Api, running: str) -> None:
    response = await start_waiting(api, f"/jobs/{running}?wait=60")

    app(api)[BUS].close()

    async with asyncio.timeout(SOON_SECONDS):
        assert (await response)["status"] == "running"


async def test_a_head_request_never_waits(api: Api, running: str) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        await api.call("HEAD", f"/jobs/{running}?wait=60")


async def test_a_disconnected_client_stops_the_wait(api: Api, running: str) -> None:
    response = await start_waiting(api, f"/jobs/{running}?wait=60")

    response.cancel()

    async with asyncio.timeout(SOON_SECONDS):
        await wait_for_subscribers(api, 0)


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        ("wait=5", "wait=5"),
        ("respond-async, wait=5", "wait=5"),
        ('WAIT="5"; foo=bar', "wait=5"),
        ("wait=5, wait=7", "wait=5"),
        ("wait=600", "wait=60"),
        ("wait=soon", None),
        ("wait=-1", None),
        ("wait", None),
        ("handling=lenient", None),
    ],
)
async def test_the_response_reports_the_applied_preference(
    api: Api, preference: str, applied: str | None
) -> None:
    job_id = await api.submit()
    await api.finished(job_id)

    async with api._session.get(f"/jobs/{job_id}", headers={"Prefer": preference}) as response:
        assert response.headers.get("Preference-Applied") == applied


async def test_the_prefer_header_sets_the_wait(api: Api, running: str) -> None:
    start = time.monotonic()

    await api.call("GET", f"/jobs/{running}", headers={"Prefer": "wait=1"})

    assert time.monotonic() - start >= 1


async def test_the_query_takes_precedence_over_the_preference(api: Api, running: str) -> None:
    path = f"/jobs/{running}?wait=0"

    async with asyncio.timeout(SOON_SECONDS):
        async with api._session.get(path, headers={"Prefer": "wait=60"}) as response:
            assert "Preference-Applied" not in response.headers


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait=61", "wait"),
        ("wait=-1", "wait"),
        ("wait=soon", "wait"),
        ("wait=nan", "wait"),
        ("wait=1e1", "wait"),
        ("wait=", "wait"),
        ("wait=" + "9" * 5000, "wait"),
        ("since=-1", "since"),
        ("since=1.5", "since"),
        ("since=9223372036854775808", "since"),
        ("wait=1&sinse=1", "sinse"),
    ],
)
async def test_an_invalid_query_is_rejected(api: Api, query: str, field: str) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}?{query}", 422)

    assert [each["field"] for each in problem["errors"]] == [field]
