"""Expensive bodies are rejected with a short response while the server stays responsive."""

import asyncio
from typing import Any

import orjson
import pytest

from tests.support import WAIT_SECONDS, Api, Json, request, until

MAX_RESPONSE_BYTES = 64 * 1024

UNKNOWN = {f"{number:05d}_field": 0 for number in range(55_000)}

HOSTILE: dict[str, Json] = {
    "many tasks": request(tasks=[1] * 340_000),
    "many unknown fields": request(**UNKNOWN),
    "an unknown field with a long name": request(**{"n" * 900_000: 1}),
    "fifty unknown fields with long names": request(**{f"{n}" + "ü" * 8_000: 1 for n in range(48)}),
    "many labels": request(labels=UNKNOWN),
    "a label with a long name": request(labels={"\t" * 150_000: "x"}),
    "many arguments": request(model_args=UNKNOWN),
    "many arguments with wrong names": request(model_args={f"{n} ": 0 for n in range(9_000)}),
    "many generation arguments": request(gen_kwargs=UNKNOWN),
    "many values below an argument": request(model_args={"a": [[]] * 300_000}),
    "an argument with a long name": request(model_args={"n" * 900_000: 1}),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_body_gets_a_short_response_while_the_server_stays_responsive(
    api: Api, body: Json
) -> None:
    sent = asyncio.create_task(_error_of(api, orjson.dumps(body)))

    async def is_rejected() -> bool:
        async with asyncio.timeout(WAIT_SECONDS):
            await api.call("GET", "/health")
        return sent.done()

    await until(is_rejected)
    assert len(await sent) < MAX_RESPONSE_BYTES


async def test_at_most_100_errors_are_listed_and_the_rest_counted(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(tasks=[""] * 250))

    assert [error["field"] for error in problem["errors"][:100]] == [
        f"tasks.{number}" for number in range(100)
    ]
    assert problem["errors"][100:] == [{"field": "", "message": "There are 150 more errors."}]


async def test_the_summary_names_at_most_10_fields(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(tasks=[""] * 250))

    assert problem["detail"].endswith("tasks.8, tasks.9 and 240 more")


async def test_a_long_name_is_truncated(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(**{"x" * 5000: 1}))

    [error] = problem["errors"]
    assert error["field"] == "x" * 127 + "…"


async def _error_of(api: Api, body: bytes) -> Any:
    headers = {"Content-Type": "application/json"}
    async with api._session.post("/evaluate", data=body, headers=headers) as response:
        assert response.status == 422
        return await response.read()
