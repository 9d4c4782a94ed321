"""Sending a stream of server-sent events to a reader of any speed.

What it says is made elsewhere, and only once the reader has taken what was said before: nothing
but one piece is ever held for a reader who is slow.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from evalserver.store import StoreUnavailable
from evalserver.web.security.authorization import is_still_authorized
from evalserver.web.streams.messages import DROPPED, comment

log = structlog.get_logger("evalserver.web")

HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",
}

SOCKET_BUFFER_BYTES = 64 * 1024
LAST_WORD_SECONDS = 5.0
"""What a reader who was too slow gets to take the word that it is dropped."""


@dataclass(frozen=True)
class StreamLimits:
    """The times of a stream, in seconds: between heartbeats, between two messages of one job's
    progress, between two looks into a log, and what a reader may take for one piece."""

    heartbeat_s: float = 15.0
    progress_s: float = 0.5
    log_s: float = 0.5
    patience_s: float = 30.0


class SlowReader(Exception):
    """The reader has not taken a piece in time."""


async def send_stream(
    request: web.Request, pieces: AsyncGenerator[bytes, None], patience_s: float
) -> web.StreamResponse:
    """Send each piece once the reader has taken the one before; for HEAD, the headers alone.

    A reader who does not take a piece within ``patience_s`` is dropped, with a word.
    """
    response = web.StreamResponse(headers=HEADERS)
    # What is set on the connection is for this stream: nothing else may follow on it.
    response.force_close()
    if request.method == hdrs.METH_HEAD or request.transport is None:
        return response
    outlet = await _Outlet.open(request, request.transport, response, patience_s)
    try:
        async with aclosing(_with_faults_told(pieces)) as told:
            async for piece in told:
                if not is_still_authorized(request):
                    break
                await outlet.send(piece)
        await outlet.end()
    except ConnectionError:
        log.debug("a reader of events went away", path=request.path)
    except SlowReader:
        log.warning(
            "dropped a reader of events: it did not take what was sent in time",
            path=request.path,
            client=request.remote,
            seconds=patience_s,
        )
        await outlet.drop()
    return response


class _Outlet:
    """The way to one reader. What waits in this process to be taken is one piece, at most."""

    def __init__(
        self,
        transport: asyncio.Transport,
        response: web.StreamResponse,
        writer: AbstractStreamWriter,
        patience_s: float,
    ) -> None:
        self._transport = transport
        self._response = response
        self._writer = writer
        self._patience_s = patience_s

    @classmethod
    async def open(
        cls,
        request: web.Request,
        transport: asyncio.Transport,
        response: web.StreamResponse,
        patience_s: float,
    ) -> "_Outlet":
        """Begin the answer, with buffers as small as a stream needs them."""
        await response.prepare(request)
        # Left to itself, the kernel takes megabytes for a reader who does not read.
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        # From now on, drained means that the kernel has taken everything.
        transport.set_write_buffer_limits(high=0)
        return cls(transport, response, request.writer, patience_s)

    async def send(self, piece: bytes) -> None:
        """Send a piece, and wait until it was taken. Raises SlowReader or ConnectionError."""
        if not piece:
            return
        async with self._patience():
            await self._response.write(piece)
            await self._writer.drain()

    async def end(self) -> None:
        """Nothing follows. Raises SlowReader or ConnectionError."""
        async with self._patience():
            await self._response.write_eof()

    async def drop(self) -> None:
        """Close the connection behind a last word, whether or not the reader takes it."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0):
                await self._response.write(DROPPED)
        self._transport.close()
        loop = asyncio.get_running_loop()
        loop.call_later(LAST_WORD_SECONDS, self._transport.abort)

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except TimeoutError:
            raise SlowReader from None


async def _with_faults_told(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The pieces; if they cannot be made any more, a word to the reader.

    The answer has begun: it is too late for a problem document.
    """
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
    except StoreUnavailable as error:
        yield comment(f"{error}; come back with the last id")
    except Exception:
        log.exception("a stream of events met an error of the server")
        yield comment("the server met an error of its own; its log has the details")
