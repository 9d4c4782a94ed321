"""Idle connections: the operator can still connect, and the log stays short."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cli.commands import run_evalserver
from tests.support import ServerProcess

IDLE = 900
ADDRESSES = 9
"""One address may use a quarter of the connections."""

SENT = (
    b"",
    b"GET /jobs HT",
    b"POST /evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
)
"""What idle clients have sent: nothing, part of the headers, or part of a body."""


@asynccontextmanager
async def idle_connections(server: ServerProcess) -> AsyncIterator[None]:
    """Keep this many connections open within the block; some are rejected."""
    writers: list[asyncio.StreamWriter] = []
    for number in range(IDLE):
        address = (f"127.0.0.{1 + number % ADDRESSES}", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=address)
        writer.write(SENT[number % len(SENT)])
        writers.append(writer)
    yield
    for writer in writers:
        writer.transport.abort()


async def test_with_900_idle_connections_the_operator_can_connect_and_the_log_stays_short(
    server: ServerProcess,
) -> None:
    async with server:
        create = ("token", "create", "--name", "anna", "--role", "viewer")
        made = await asyncio.to_thread(run_evalserver, *create, "--data-dir", server.data_dir)
        assert made.returncode == 0, made.stderr

        lines, began = server.log.read_text().count("\n"), time.monotonic()
        async with idle_connections(server):
            revoked = await asyncio.to_thread(
                run_evalserver, "token", "revoke", "anna", "--data-dir", server.data_dir
            )

        took = time.monotonic() - began
        log = server.log.read_text()
        assert revoked.returncode == 0, revoked.stderr
        assert "Traceback" not in log
        # One line is about the token; rejected connections are logged at most once per second.
        assert log.count("\n") - lines <= took + 2
