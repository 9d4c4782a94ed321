"""Batches of both clients, with a real server."""

import asyncio
from typing import Any

import pytest

from evalserver.client import AsyncEvalClient, EvalClient
from tests.support import ServerProcess

ONE_TASK = {"model": "dummy", "tasks": "mme"}

BATCHES: dict[str, dict[str, Any]] = {
    "jobs": {"jobs": [ONE_TASK]},
    "base": {"sweep": {"base": ONE_TASK, "over": {"limit": [1]}}},
    "values": {"sweep": {"base": {"model": "dummy"}, "over": {"tasks": ["mme"]}}},
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
async def test_one_task_may_be_a_string(server: ServerProcess, batch: dict[str, Any]) -> None:
    async with server, AsyncEvalClient(server.url) as client:
        found = await client.submit_batch(**batch, dry_run=True)

    assert [request["tasks"] for request in found["jobs"]] == [["mme"]]


async def test_the_jobs_of_a_batch_are_compared(server: ServerProcess) -> None:
    def compare(url: str) -> tuple[list[str], list[str]]:
        with EvalClient(url) as client:
            batch = client.submit_batch([ONE_TASK] * 2)
            client.wait_for_batch(batch["batch_id"])
            compared = client.compare(batch_id=batch["batch_id"])
        return [job["job_id"] for job in compared["jobs"]], batch["job_ids"]

    async with server:
        compared, submitted = await asyncio.to_thread(compare, server.url)

    assert compared == submitted
