"""Logs larger than memory: what serving them costs."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support import Json, ServerProcess

MEGABYTE = 2**20
SIZE = 2048 * MEGABYTE
LAST_LINE = b"\nthe last line\n"
MAX_GROWTH_BYTES = 64 * MEGABYTE
"""Memory for blocks in transit, and what malloc retains of them."""


@pytest.fixture
async def job(server: ServerProcess) -> AsyncIterator[Json]:
    """An ended job of a running server with a log of two gigabytes, nearly all of it one line."""
    async with server:
        job = await server.api.finished(await server.api.submit())
        with (Path(job["run_dir"]) / "eval.log").open("wb") as file:
            file.truncate(SIZE - len(LAST_LINE))
            file.seek(0, 2)
            file.write(LAST_LINE)
        yield job


async def received_bytes(server: ServerProcess, job: Json, query: str = "", **headers: str) -> int:
    """Return how many bytes of the log were received."""
    url = f"{server.url}/jobs/{job['job_id']}/log{query}"
    size = 0
    async with server.api._session.request("GET", url, headers=headers) as response:
        assert response.status in (200, 206)
        async for piece in response.content.iter_any():
            size += len(piece)
    return size


def peak_memory(server: ServerProcess) -> int:
    """Return the server's peak memory in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [kilobytes] = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024


async def test_two_gigabytes_are_sent_in_constant_memory(server: ServerProcess, job: Json) -> None:
    before = peak_memory(server)

    assert await received_bytes(server, job) == SIZE
    assert peak_memory(server) < before + MAX_GROWTH_BYTES


async def test_the_end_of_two_gigabytes_is_sent_in_constant_memory(
    server: ServerProcess, job: Json
) -> None:
    before = peak_memory(server)

    assert await received_bytes(server, job, "?tail=1") == len(LAST_LINE) - 1
    assert await received_bytes(server, job, Range="bytes=-1000") == 1000
    assert peak_memory(server) < before + MAX_GROWTH_BYTES


async def test_plain_text_of_one_huge_line_is_sent_in_constant_memory(
    server: ServerProcess, job: Json
) -> None:
    before = peak_memory(server)
    with (Path(job["run_dir"]) / "eval.log").open("r+b") as file:
        file.truncate(256 * MEGABYTE)

    assert await received_bytes(server, job, "?plain=1") == 256 * MEGABYTE
    assert peak_memory(server) < before + MAX_GROWTH_BYTES


async def test_a_log_truncated_while_it_is_sent_aborts_the_response(
    server: ServerProcess, job: Json
) -> None:
    url = f"{server.url}/jobs/{job['job_id']}/log"
    async with server.api._session.get(url) as response:
        await response.content.readany()
        with (Path(job["run_dir"]) / "eval.log").open("r+b") as file:
            file.truncate(0)

        with pytest.raises(aiohttp.ClientError):
            await response.read()
