"""More clients than file descriptors: the server reports it, and serves the others."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.cli.commands import run_evalserver
from tests.support import ServerProcess

OPEN_FILES = 512
FOLLOWERS = 300


@asynccontextmanager
async def followed(server: ServerProcess, job_id: str) -> AsyncIterator[list[int]]:
    """Let this many clients follow a log; yields the statuses they got."""
    request = f"GET /jobs/{job_id}/log?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    writers: list[asyncio.StreamWriter] = []

    async def follow() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append(writer)
        writer.write(request)
        return int((await reader.readline()).split()[1])

    try:
        yield [await follow() for _ in range(FOLLOWERS)]
    finally:
        for writer in writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_descriptors_do_not_run_out_and_the_owner_can_connect(server: ServerProcess) -> None:
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with server:
        server.stop()
        server.launch_limited((resource.RLIMIT_NOFILE, OPEN_FILES))
        await server.wait_until_ready()
        job_id = await server.api.submit(model_args={"behave": "hang"})
        await server.api.wait_for_harness(job_id)

        async with followed(server, job_id) as statuses:
            made = await asyncio.to_thread(
                run_evalserver, "token", "create", "--name", "anna", "--role", "viewer",
                "--data-dir", server.data_dir,
            )  # fmt: skip

        assert set(statuses) == {200, 503}
        assert made.returncode == 0, made.stderr
        log = server.log.read_text()
        assert "fewer connections than max_connections" in log
        assert "Traceback" not in log
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == usual
