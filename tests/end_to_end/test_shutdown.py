"""Shutdown: the running evaluation, open connections, and systemd notifications."""

import asyncio
import configparser
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support import ServerProcess, harness_of, stand_in_environment

UNIT = Path(__file__).parents[2] / "scripts" / "evalserver.service"

IDLE_CONNECTIONS = 200
MAX_STOP_SECONDS = 40.0
"""Two are promised. A server that waits for its connections does so for a minute."""


async def test_on_shutdown_cancel_stops_the_evaluation_and_starts_no_other(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--cancel-grace", "1", "--on-shutdown", "cancel")
    async with server:
        running = await server.api.submit(model_args={"behave": "stubborn"})
        harness = await harness_of(running)
        await server.api.submit()

        code = server.stop()

        assert code == 0
        assert not harness.is_running()
        assert server.query("SELECT status FROM jobs ORDER BY seq") == ["cancelled", "queued"]


async def test_idle_connections_do_not_delay_a_stop(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server, AsyncExitStack() as clients:
        for _ in range(IDLE_CONNECTIONS):
            reader, writer = await _connected(clients, server)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"}")
        _, half_sent = await _connected(clients, server)
        half_sent.write(
            b"POST /evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
        await half_sent.drain()

        began = time.monotonic()
        code = await asyncio.to_thread(server.stop)

        assert (code, time.monotonic() - began < MAX_STOP_SECONDS) == (0, True)


async def _connected(
    clients: AsyncExitStack, server: ServerProcess
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    clients.callback(writer.close)
    return reader, writer


async def test_systemd_is_notified_when_the_server_is_ready_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {**stand_in_environment(), "NOTIFY_SOCKET": str(tmp_path / "notify")}
        async with ServerProcess(tmp_path / "data", environment=environment) as server:
            ready = await asyncio.to_thread(manager.recv, 100)
            server.stop()
            stopping = await asyncio.to_thread(manager.recv, 100)

    assert (ready, stopping) == (b"READY=1", b"STOPPING=1")


def test_stopping_the_unit_does_not_stop_the_evaluation() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(UNIT)

    assert (unit["Service"]["KillMode"], unit["Service"]["Type"]) == ("process", "notify")
