"""Work that one request has done at a time: who leaves stops it, and few may wait."""

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
    """An application whose one route works until its client has left, or all is over."""

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
        """A connection on which an answer is waited for."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return reader, writer


async def test_work_is_stopped_when_its_client_leaves_and_the_next_has_its_turn() -> None:
    served = Served()
    async with served.server:
        _, leaving = await served.ask()
        await until(_is(lambda: served.begun == 1))
        staying, writer = await served.ask()

        leaving.close()
        await until(_is(lambda: served.begun == 2))
        served.over.set()
        status = await staying.readline()
        writer.close()

    assert (served.stopped, status.split()[1]) == (1, b"200")


async def test_who_finds_too_many_waiting_is_told_to_come_back() -> None:
    served = Served()
    async with served.server:
        _, working = await served.ask()
        await until(_is(lambda: served.begun == 1))
        _, waiting = await served.ask()
        await until(_is(lambda: served._turns._waiting == 1))

        reader, refused = await served.ask()
        status = await reader.readline()
        served.over.set()
        for writer in (working, waiting, refused):
            writer.close()

    assert status.split()[1] == b"503"


def test_samples_are_not_read_on_when_nobody_wants_to_know(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(b'{"doc_id": 1}\n')
    engine = make_engines(sys.executable, None, {})["lm_eval"]

    with (tmp_path / "samples").open("rb") as file, pytest.raises(ReadCancelled):
        read_scores(file, engine, [("acc", "none")], lambda: True)


def _is(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return condition()

    return holds
