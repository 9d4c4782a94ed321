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
from evalserver.web.http.errors import problem_middleware
from evalserver.web.http.one_at_a_time import SerialWork, run_stoppable
from tests.support import until


class Served:
    """An application whose only route works until its client disconnects or the test ends."""

    def __init__(self) -> None:
        self.begun = self.stopped = 0
        self.over = threading.Event()
        self._turns = SerialWork("pieces of work", 1)
        app = web.Application(middlewares=[problem_middleware])
        app.router.add_get("/", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        await self._turns.run(request, lambda: run_stoppable(self._work))
        return web.Response()

    def _work(self, stop: threading.Event) -> None:
        self.begun += 1
        while not (stop.wait(0.01) or self.over.is_set()):
            pass
        self.stopped += stop.is_set()

    async def ask(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request and return the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return reader, writer


async def test_work_stops_when_its_client_disconnects_and_the_next_request_runs() -> None:
    served = Served()
    async with served.server:
        _, leaving = await served.ask()
        await until(_check(lambda: served.begun == 1))
        staying, writer = await served.ask()

        leaving.close()
        await until(_check(lambda: served.begun == 2))
        served.over.set()
        status = await staying.readline()
        writer.close()

    assert (served.stopped, status.split()[1]) == (1, b"200")


async def test_a_request_is_rejected_when_too_many_are_waiting() -> None:
    served = Served()
    async with served.server:
        _, working = await served.ask()
        await until(_check(lambda: served.begun == 1))
        _, waiting = await served.ask()
        await until(_check(lambda: served._turns._waiting == 1))

        reader, rejected = await served.ask()
        status = await reader.readline()
        served.over.set()
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
