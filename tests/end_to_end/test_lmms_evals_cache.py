"""lmms-eval's response cache across a job's attempts: answers are reused, and only real answers
are cached."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.end_to_end.conftest import Digits
from tests.support import Json, ServerProcess, free_port, harness_of, until

pytestmark = pytest.mark.real_harness("lmms-eval")

QUESTIONS = 64
CACHED = 48
"""Batches end after 16, 48 and 64 answers: an attempt that ends after 50 has cached two."""


async def test_a_later_attempt_requests_only_uncached_answers(
    lmms_server: ServerProcess, slow_digits: Digits
) -> None:
    async with lmms_server as server:
        job_id = await _submit(server, {**slow_digits.model_args, "num_concurrent": 1})
        await until(lambda: _has_answered(slow_digits, 50))
        os.kill(psutil.Process((await harness_of(job_id)).ppid()).pid, signal.SIGKILL)
        await server.api.when(job_id, "queued", "running")
        await until(lambda: _attempt(server, job_id, 2))
        before = len(slow_digits.requests())

        job = await server.api.finished(job_id)
        asked_again = len(slow_digits.requests()) - before

    assert (job["status"], job["attempt"]) == ("completed", 2)
    assert asked_again == QUESTIONS - CACHED
    assert job["result"]["digits-svc"]["metrics"]["digits_vqa"]["acc,none"] == 0.96875


async def test_a_retry_requests_nothing_and_another_job_everything(
    lmms_server: ServerProcess, digits: Digits
) -> None:
    async with lmms_server as server:
        job_id = await _submit(server, digits.model_args)
        first = await server.api.finished(job_id)
        asked = len(digits.requests())

        await server.api.call("POST", f"/jobs/{job_id}/retry")
        second = await server.api.finished(job_id)
        asked_by_retry = len(digits.requests()) - asked

        await server.api.finished(await _submit(server, digits.model_args, limit=4))
        asked_by_other = len(digits.requests()) - asked

    assert (asked, asked_by_retry, asked_by_other) == (QUESTIONS, 0, 4)
    assert _metrics(second) == _metrics(first)


async def test_a_dead_endpoint_fails_the_job_and_caches_no_answers(
    lmms_server: ServerProcess, digits: Digits
) -> None:
    port = free_port()
    model_args = {**digits.model_args, "base_url": f"http://127.0.0.1:{port}/v1"}
    async with lmms_server as server:
        job_id = await _submit(
            server, {**model_args, "max_retries": 1, "retry_backoff_s": 0}, limit=4
        )

        job = await server.api.finished(job_id)

        assert (job["status"], job["exit_code"]) == ("failed", 0)
        assert job["error"].startswith("4 of 4 requests to the model failed (100.0%, ")
        assert _cached_answers(job) == []


async def test_an_api_key_is_stored_only_in_the_request(
    lmms_server: ServerProcess, digits: Digits
) -> None:
    secret = "sk-0123456789abcdef"  # noqa: S105 - nobody's
    async with lmms_server as server:
        job_id = await _submit(server, {**digits.model_args, "api_key": secret}, limit=1)
        job = await server.api.finished(job_id)
        assert job["status"] == "completed"

        holding = [
            path.name
            for path in server.data_dir.rglob("*")
            if path.is_file() and secret.encode() in path.read_bytes()
        ]

    log = (Path(job["run_dir"]) / "eval.log").read_text()
    assert "[secret]" in log
    # The launch spec of the attempt, readable by its owner only; and the request itself.
    assert {name for name in holding if not name.startswith("evalserver.db")} == {
        "job.json",
        "config.yaml",
    }


async def _submit(server: ServerProcess, model_args: Json, **fields: Any) -> str:
    return await server.api.submit(
        model="async_openai", tasks=["digits_vqa"], model_args=model_args, **fields
    )


async def _has_answered(digits: Digits, count: int) -> bool:
    return len(digits.requests()) >= count


async def _attempt(server: ServerProcess, job_id: str, number: int) -> bool:
    return bool((await server.api.job(job_id))["attempt"] == number)


def _metrics(job: Json) -> Json:
    assert job["status"] == "completed", job["error"]
    numbers: Json = job["result"]["digits-svc"]["metrics"]
    return numbers


def _cached_answers(job: Json) -> list[str]:
    """The contents of the job's lmms-eval response cache."""
    cache = Path(job["run_dir"]).parent / "cache"
    (database,) = cache.rglob("rank_0.db")
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT response FROM responses").fetchall()
    return [json.loads(row[0]) for row in rows]
