"""The HTTP response of an event stream, and readers that are slow, gone or late."""

import asyncio
import re
import socket
import sqlite3
import uuid
from collections.abc import AsyncIterator

import aiosqlite
import psutil
import pytest

from evalserver.web.keys import BUS
from evalserver.web.streams.event_stream import StreamLimits
from tests.conftest import MakeApi
from tests.support import Api, until
from tests.web.following import app, finished, running, wait_for_subscribers

EVENTS = 1200
"""Several times as many messages as all buffers hold."""
MAX_BUFFERED_BYTES = 50_000
"""More than one page of events."""


async def test_the_stream_is_neither_cached_nor_buffered(api: Api) -> None:
    job_id = await finished(api)

    async with api.stream(f"/jobs/{job_id}/events") as reader:
        headers = reader.answer.headers

    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Accel-Buffering"] == "no"


async def test_the_stream_sets_the_reconnection_delay(api: Api) -> None:
    async with api.stream("/events") as reader:
        await reader.opened()

    assert reader.retry_ms == 2000


async def test_a_head_request_gets_only_the_headers(api: Api) -> None:
    async with api._session.head("/events") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_an_unknown_job_is_404(api: Api) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}/events", 404)

    assert problem["detail"].endswith("not found")


async def test_a_pruned_job_is_410(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await finished(api)
    await finished(api)

    problem = await api.call("GET", f"/jobs/{pruned}/events", 410)

    assert "was pruned" in problem["detail"]


@pytest.mark.parametrize("path", ["/events", "/jobs/{job_id}/events"])
async def test_a_silent_stream_sends_heartbeats(make_api: MakeApi, path: str) -> None:
    api = await make_api(StreamLimits(heartbeat_s=0.05))
    job_id = await running(api)

    async with api.stream(path.format(job_id=job_id)) as reader:
        comments = [await reader.comment(), await reader.comment()]

    assert comments == ["heartbeat", "heartbeat"]


@pytest.mark.parametrize("path", ["/events", "/jobs/{job_id}/events"])
async def test_a_stopping_server_announces_it_and_ends_the_stream(api: Api, path: str) -> None:
    job_id = await running(api)
    async with api.stream(path.format(job_id=job_id)) as reader:
        await reader.opened()
        app(api)[BUS].close()

        await reader.rest()

    assert reader.comments == ["the server is stopping; reconnect with the last id"]


async def test_a_disconnected_reader_is_released(make_api: MakeApi) -> None:
    api = await make_api(StreamLimits(heartbeat_s=0.05))
    async with api.stream("/events") as reader:
        await reader.opened()

    await wait_for_subscribers(api, 0)


async def test_an_unreadable_database_ends_the_stream_with_an_error_message(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = aiosqlite.Connection.execute_fetchall

    async def fail(self: aiosqlite.Connection, sql: str, *args: object) -> object:
        if "FROM job_events WHERE event_id >" in sql:
            raise sqlite3.OperationalError("disk I/O error")
        return await execute(self, sql, *args)

    async with api.stream("/events") as reader:
        await reader.opened()
        monkeypatch.setattr(aiosqlite.Connection, "execute_fetchall", fail)
        await api.submit()

        await reader.rest()

    message = "the database cannot be read: disk I/O error; reconnect with the last id"
    assert reader.comments == [message]


async def test_an_internal_error_ends_the_stream_with_an_error_message(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: object) -> bytes:
        raise RuntimeError("a fault of ours")

    async with api.stream("/events") as reader:
        await reader.opened()
        monkeypatch.setattr("evalserver.web.api.events.status_message", fail)
        await api.submit()

        await reader.rest()

    assert reader.comments == ["internal server error; the server's log has the details"]


@pytest.fixture
async def backlogged(make_api: MakeApi) -> Api:
    """An application with more events than fit into all buffers, and short timeouts."""
    api = await make_api(StreamLimits(patience_s=0.3))
    await running(api)

    async def submit_and_cancel() -> None:
        await api.call("DELETE", f"/jobs/{await api.submit()}")

    await asyncio.gather(*(submit_and_cancel() for _ in range(EVENTS // 2)))
    return api


@pytest.fixture
async def stalled_reader(backlogged: Api) -> AsyncIterator[socket.socket]:
    """A reader that requests all events and then reads nothing."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", backlogged._session.port))
        sock.sendall(b"GET /events?last_event_id=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await wait_for_subscribers(backlogged, 1)
        yield sock


async def test_a_reader_that_reads_nothing_is_dropped_and_logged(
    backlogged: Api, stalled_reader: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    await wait_for_subscribers(backlogged, 0)

    assert "disconnected a slow client of an event stream" in capsys.readouterr().out


async def test_a_reader_that_resumes_finds_the_message_that_it_was_dropped(
    backlogged: Api, stalled_reader: socket.socket
) -> None:
    await wait_for_subscribers(backlogged, 0)

    received = await asyncio.to_thread(read_remaining, stalled_reader)

    assert received.rstrip().endswith(b"reconnect with the last id to miss nothing")


async def test_little_is_buffered_for_a_reader_that_reads_nothing(
    backlogged: Api, stalled_reader: socket.socket
) -> None:
    await wait_for_subscribers(backlogged, 0)

    connections = backlogged._session.server.runner.server.connections
    buffered = [each.transport.get_write_buffer_size() for each in connections if each.transport]
    assert 0 < max(buffered) < MAX_BUFFERED_BYTES


async def test_a_dropped_reader_misses_nothing_after_reconnecting(
    backlogged: Api, stalled_reader: socket.socket
) -> None:
    await wait_for_subscribers(backlogged, 0)
    received = await asyncio.to_thread(read_remaining, stalled_reader)
    seen = [int(each) for each in re.findall(rb"^id: (\d+)\nevent", received, re.MULTILINE)]

    headers = {"Last-Event-ID": str(seen[-1])}
    async with backlogged.stream("/events", headers=headers) as reader:
        missed = [(await reader.next()).event_id for _ in range(EVENTS + 2 - len(seen))]

    assert [*seen, *missed] == list(range(1, EVENTS + 3))


async def test_the_connection_of_a_reader_that_never_resumes_is_closed(
    backlogged: Api, monkeypatch: pytest.MonkeyPatch, stalled_reader: socket.socket
) -> None:
    monkeypatch.setattr("evalserver.web.streams.event_stream.DROP_MESSAGE_SECONDS", 0.1)

    async def closed() -> bool:
        # The server runs in this process.
        ends = {each.raddr for each in psutil.Process().net_connections("tcp")}
        return stalled_reader.getsockname() not in ends

    await until(closed)


def read_remaining(sock: socket.socket) -> bytes:
    """Return everything that a reader can still receive."""
    sock.settimeout(60)
    received = bytearray()
    while chunk := sock.recv(65536):
        received += chunk
    return bytes(received)
