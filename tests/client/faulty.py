"""A server that answers as it is told: for what ours cannot be made to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import MultiMapping

from tests.support import free_port


@dataclass(frozen=True)
class Answer:
    """An answer: a status, headers, and JSON, or else a text of some type."""

    json: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    content_type: str = "text/plain"
    after_s: float = 0.0

    async def give(self, request: web.Request) -> web.StreamResponse:
        """Answer, after a while."""
        await asyncio.sleep(self.after_s)
        if self.text is not None:
            return web.Response(
                text=self.text,
                status=self.status,
                headers=self.headers,
                content_type=self.content_type,
            )
        return web.json_response(self.json, status=self.status, headers=self.headers)


@dataclass(frozen=True)
class Cut:
    """The connection is cut, after the beginning of an answer if there is one."""

    beginning: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def give(self, request: web.Request) -> web.StreamResponse:
        """Begin to answer, and cut."""
        await request.read()
        response = web.StreamResponse(headers=self.headers)
        if self.beginning or self.headers:
            await response.prepare(request)
            await response.write(self.beginning)
        assert request.transport is not None
        request.transport.close()
        return response


def problem(status: int, detail: str, **members: Any) -> Answer:
    """An error as this project's server words it."""
    headers = members.pop("headers", {})
    return Answer({"status": status, "detail": detail, **members}, status, headers)


def busy(status: int = 503, **headers: str) -> Answer:
    """An answer that passes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return problem(status, "Nothing can be written right now", headers=named)


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def labels(self) -> list[str]:
        """Every ``label`` of the query."""
        return self.query.getall("label")


class FaultyServer:
    """Gives the answers that a path was told, one after the other, and the last one ever after."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[str, list[Answer | Cut]] = {}
        self._port = free_port()
        self._server: TestServer | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def answers(self, path: str, *answers: Answer | Cut) -> None:
        """What is to be answered on a path."""
        self._answers[path] = list(answers)

    def asked_for(self, path: str) -> list[Asked]:
        """The requests that came for a path."""
        return [each for each in self.asked if each.path == path]

    def json(self, path: str) -> Any:
        """The body of the only request that came for a path."""
        [asked] = self.asked_for(path)
        return json.loads(asked.body)

    async def start(self) -> None:
        """Answer from now on."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, port=self._port)
        await self._server.start_server()

    async def stop(self) -> None:
        """Refuse connections from now on."""
        assert self._server is not None
        await self._server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.path, request.query, request.headers, body))
        answers = self._answers.get(request.rel_url.raw_path)
        if answers is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer.give(request)


@asynccontextmanager
async def dark_port() -> AsyncIterator[str]:
    """The URL of a port that takes connections, and never says anything."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep_silent, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
