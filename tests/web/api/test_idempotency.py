"""``Idempotency-Key`` of ``POST /evaluate``: a repeated submission creates no second job."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from evalserver.store.transaction import Transaction
from evalserver.web.keys import STORE, SUBMITTER
from tests.conftest import MakeApi
from tests.store.test_migrate import rows
from tests.support import WAIT_SECONDS, Api, request, until
from tests.web.answers import Response, fetch

HANG = {"behave": "hang"}
REPLAY = "Idempotent-Replay"


async def evaluate(api: Api, key: str = "the key", **fields: Any) -> Response:
    """Submit with a key."""
    headers = {"Idempotency-Key": key}
    return await fetch(api, "POST", "/evaluate", json=request(**fields), headers=headers)


async def count_jobs(api: Api) -> int:
    """Return the number of jobs."""
    return len((await api.call("GET", "/jobs?limit=500"))["jobs"])


@asynccontextmanager
async def busy_writer(api: Api) -> AsyncIterator[None]:
    """Keep the writer busy for the duration of the block."""
    store, done = api._session.app[STORE], threading.Event()

    def wait(tx: Transaction) -> None:
        done.wait(WAIT_SECONDS)

    waiting = asyncio.create_task(store._writer.run(wait))
    try:
        yield
    finally:
        done.set()
        await waiting


async def in_flight(api: Api) -> bool:
    """Whether a submission with a key is in progress."""
    return len(api._session.app[SUBMITTER].queue.keys_in_flight) > 0


async def test_the_first_response_is_an_ordinary_one(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.submit()

    response = await evaluate(api)

    assert response.json == {
        "job_id": response.json["job_id"],
        "status": "queued",
        "position_in_queue": 1,
        "message": "Job queued successfully. Position in queue: 1",
    }
    assert response.headers["Content-Type"] == "application/json"
    assert REPLAY not in response.headers


async def test_the_position_counts_only_jobs_ahead(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    for priority in (0, 2, 1):
        await api.submit(priority=priority)

    response = await evaluate(api, priority=1)

    assert response.json["position_in_queue"] == 2
    assert (await api.job(response.json["job_id"]))["position_in_queue"] == 2


async def test_a_repeated_submission_gets_the_same_response_and_no_new_job(api: Api) -> None:
    first = await evaluate(api)
    await api.finished(first.json["job_id"])

    again = await evaluate(api)

    assert (again.status, again.body) == (200, first.body)
    assert again.headers[REPLAY] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert await count_jobs(api) == 1


async def test_key_order_and_whitespace_of_the_body_do_not_matter(api: Api) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    bodies = [
        b'{"model": "m", "tasks": ["t"], "model_args": {"a": 1, "b": {"c": 2, "d": 3}}}',
        b'{"tasks":["t"],"limit":null,"model_args":{"b":{"d":3,"c":2},"a":1},"model":"\\u006d"}',
    ]

    first, again = [
        await fetch(api, "POST", "/evaluate", data=body, headers=headers) for body in bodies
    ]

    assert again.body == first.body


async def test_a_hash_covers_only_the_fields_of_the_request(api: Api, data_dir: Path) -> None:
    await evaluate(api, num_gpus=1, labels={}, priority=0)

    [(stored,)] = rows(data_dir, "SELECT body_hash FROM idempotency_keys")

    # So it stays the same when a later version adds a field.
    assert stored == sha256(b'{"model":"dummy","tasks":["mme"]}').hexdigest()


@pytest.mark.parametrize(
    "change",
    [{"model": "other"}, {"tasks": ["mme", "mme"]}, {"limit": 1}, {"model_args": {"a": 1.0}}],
)
async def test_the_key_with_another_body_is_422(api: Api, change: dict[str, Any]) -> None:
    job_id = (await evaluate(api, model_args={"a": 1})).json["job_id"]

    response = await evaluate(api, **{"model_args": {"a": 1}, **change})

    assert response.status == 422
    assert f"for another request (job {job_id})" in response.json["detail"]
    assert await count_jobs(api) == 1


async def test_other_keys_and_no_key_are_separate_submissions(api: Api) -> None:
    responses = [await evaluate(api, "a"), await evaluate(api, "A")]
    ids = {response.json["job_id"] for response in responses} | {
        await api.submit(),
        await api.submit(),
    }

    assert len(ids) == 4


async def test_a_rejected_request_does_not_consume_the_key(api: Api) -> None:
    assert (await evaluate(api, limit=0)).status == 422

    response = await evaluate(api, limit=1)

    assert response.status == 200
    assert REPLAY not in response.headers


async def test_a_request_that_was_not_stored_does_not_consume_the_key(api: Api) -> None:
    connection = api._session.app[STORE]._connection
    large = {str(number): "x" * 500 for number in range(60)}
    connection.execute("PRAGMA max_page_count = 1")
    assert (await evaluate(api, labels=large)).status == 503
    connection.execute("PRAGMA max_page_count = 1000000")

    response = await evaluate(api, labels=large)

    assert response.status == 200
    assert REPLAY not in response.headers
    assert await count_jobs(api) == 1


async def test_a_repetition_while_the_first_is_in_progress_is_409(api: Api) -> None:
    async with busy_writer(api):
        first = asyncio.create_task(evaluate(api))
        await until(lambda: in_flight(api))

        async with asyncio.timeout(WAIT_SECONDS):
            concurrent = await evaluate(api)
        other_key = asyncio.create_task(evaluate(api, "other"))

    assert (concurrent.status, concurrent.headers["Retry-After"]) == (409, "1")
    assert "Idempotency-Key" in concurrent.json["detail"]
    assert (await other_key).status == 200
    assert (await evaluate(api)).body == (await first).body


async def test_many_concurrent_repetitions_create_one_job(api: Api) -> None:
    responses = await asyncio.gather(*(evaluate(api) for _ in range(30)))

    accepted = [response for response in responses if response.status == 200]
    assert {response.status for response in responses} <= {200, 409}
    assert len({response.body for response in accepted}) == 1
    assert [REPLAY in response.headers for response in accepted].count(False) == 1
    assert await count_jobs(api) == 1


async def test_the_key_of_a_pruned_job_replays_the_response(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    first = await evaluate(api)
    await api.finished(first.json["job_id"])
    await api.finished(await api.submit())
    await api.call("GET", f"/jobs/{first.json['job_id']}", 410)

    again = await evaluate(api)

    assert (again.status, again.body) == (200, first.body)


@pytest.mark.parametrize("key", ["k", "x" * 255, "7c1f/ä".encode().hex(), '"quoted, key" ~'])
async def test_a_key_of_printable_ascii_is_accepted(api: Api, key: str) -> None:
    first = await evaluate(api, key)

    assert (await evaluate(api, key)).body == first.body


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "Must have 1 to 255 characters, has 0."),
        ("x" * 256, "Must have 1 to 255 characters, has 256."),
        ("ä", "Must be ASCII."),
        ("a\tb", "Must not contain control characters or invisible ones."),
    ],
)
async def test_an_invalid_key_is_rejected_and_named(api: Api, key: str, message: str) -> None:
    response = await evaluate(api, key)

    [error] = response.json["errors"]
    assert response.status == 422
    assert error == {"field": "Idempotency-Key", "message": message}
    assert await count_jobs(api) == 0


async def test_two_keys_are_rejected(api: Api) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]

    response = await fetch(api, "POST", "/evaluate", json=request(), headers=headers)

    assert response.status == 422
