"""A proxy in front of a real server that can cut connections, like a faulty network."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

PIECE = 64 * 1024


class CuttingProxy:
    """Forwards everything, and cuts connections on request."""

    def __init__(self, url: str) -> None:
        self._upstream = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.responses_to_drop = 0
        """The number of connections to cut instead of forwarding the first byte of a response."""
        self.cuts = 0
        """The number of connections that were cut."""

    @property
    def url(self) -> str:
        """The proxy's URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._serving)

    def cut_all(self) -> None:
        """Cut all open connections."""
        for writer in self._serving.values():
            self._cut(writer)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # let the callbacks run

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task).close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, onward = await asyncio.open_connection(
            self._upstream.hostname, self._upstream.port
        )
        requests = asyncio.create_task(_forward(reader, onward))
        responses = asyncio.create_task(self._answer(upstream, writer))
        try:
            # When one side closes, the other side has no peer left.
            await asyncio.wait([requests, responses], return_when=asyncio.FIRST_COMPLETED)
        finally:
            onward.close()
            requests.cancel()
            responses.cancel()
            await asyncio.gather(requests, responses, return_exceptions=True)

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await upstream.read(PIECE)
        if first and self.responses_to_drop:
            self.responses_to_drop -= 1
            self._cut(writer)
            return
        writer.write(first)
        await _forward(upstream, writer)

    def _cut(self, writer: asyncio.StreamWriter) -> None:
        self.cuts += 1
        writer.transport.abort()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
