"""Work that runs for one request at a time: disconnecting stops it, and few may wait."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from evalserver.engines import make_engines
from evalserver.outputs import read_scores
from evalserver.outputs.scores import ReadCancelled
from evalserver.web.http.errors import Handler, error_response
from evalserver.web.http.one_at_a_time import SerialWork, run_stoppable
from tests.support import until


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        return error_response(request, error)


class BlockingServer:
    """An application whose only route works until its client disconnects or the test ends."""

    def __init__(self) -> None:
        self.started = self.stopped = 0
        self.release = threading.Event()
        self._queue = SerialWork("pieces of work", 1)
        app = web.Application(middlewares=[_answer_errors])
        app.router.add_get("/", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.Response:
        await self._queue.run(request, lambda: run_stoppable(self._work))
        return web.Response()

    def _work(self, stop: threading.Event) -> None:
        self.started += 1
        while not (stop.wait(0.01) or self.release.is_set()):
            pass
        self.stopped += stop.is_set()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request and return the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return reader, writer


async def test_work_stops_when_its_client_disconnects_and_the_next_request_runs() -> None:
    blocking = BlockingServer()
    async with blocking.server:
        _, disconnecting = await blocking.connect()
        await until(_check(lambda: blocking.started == 1))
        staying, writer = await blocking.connect()

        disconnecting.close()
        await until(_check(lambda: blocking.started == 2))
        blocking.release.set()
        status = await staying.readline()
        writer.close()

    assert (blocking.stopped, status.split()[1]) == (1, b"200")


async def test_a_request_is_rejected_when_too_many_are_waiting() -> None:
    blocking = BlockingServer()
    async with blocking.server:
        _, working = await blocking.connect()
        await until(_check(lambda: blocking.started == 1))
        _, waiting = await blocking.connect()
        await until(_check(lambda: blocking._queue._waiting == 1))

        reader, rejected = await blocking.connect()
        status = await reader.readline()
        blocking.release.set()
        for writer in (working, waiting, rejected):
            writer.close()

    assert status.split()[1] == b"503"


def test_reading_samples_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(b'{"doc_id": 1}\n')
    engine = make_engines(sys.executable, None, {})["lm_eval"]

    with (tmp_path / "samples").open("rb") as file, pytest.raises(ReadCancelled):
        read_scores(file, engine, [("acc", "none")], lambda: True)


def _check(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return condition()

    return holds
