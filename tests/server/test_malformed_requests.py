"""The log of a server that receives many malformed requests."""

import asyncio
import re
import time

from tests.support import ServerProcess, until

REQUESTS = 300
WITHOUT_HOST = b"GET /queue HTTP/1.1\r\n\r\n"
INVALID_HEADER = b"GET /queue HTTP/1.1\r\nHost: localhost\r\nA B: c\r\n\r\n"


async def send(server: ServerProcess, data: bytes) -> None:
    """Send bytes, and read the complete response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    assert b" 400 " in await reader.read()
    writer.close()


def log_lines(server: ServerProcess) -> list[str]:
    """Return the log lines about malformed requests."""
    return [
        line for line in server.log.read_text().splitlines() if "Error handling request" in line
    ]


async def test_malformed_requests_log_at_most_one_line_a_second(server: ServerProcess) -> None:
    async with server:
        began = time.monotonic()
        for number in range(REQUESTS):
            await send(server, WITHOUT_HOST if number % 2 else INVALID_HEADER)

        assert len(log_lines(server)) <= time.monotonic() - began + 1


async def test_the_next_line_counts_the_omitted_ones(server: ServerProcess) -> None:
    async with server:
        for _ in range(REQUESTS):
            await send(server, WITHOUT_HOST)
        before, sent = len(log_lines(server)), REQUESTS

        async def another_line() -> bool:
            nonlocal sent
            await send(server, WITHOUT_HOST)
            sent += 1
            return len(log_lines(server)) > before

        await until(another_line)

        lines = log_lines(server)
        left_out = [re.search(r"suppressed=(\d+)", line) for line in lines]
        assert len(lines) + sum(int(found[1]) for found in left_out if found) == sent
