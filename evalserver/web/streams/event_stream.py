"""Sending server-sent events to clients of any speed.

The next chunk is produced only when the client has received the previous one, so that at most one
chunk is buffered for a slow client.
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
DROP_MESSAGE_SECONDS = 5.0
"""Time for a slow client to receive the message that it is disconnected."""


@dataclass(frozen=True)
class StreamLimits:
    """The intervals of a stream, in seconds: between heartbeats, between progress messages of one
    job, between two reads of a log, and the time limit for a client to receive one chunk."""

    heartbeat_s: float = 15.0
    progress_s: float = 0.5
    log_s: float = 0.5
    patience_s: float = 30.0


class SlowReader(Exception):
    """The client did not receive a chunk in time."""


async def send_stream(
    request: web.Request, pieces: AsyncGenerator[bytes, None], patience_s: float
) -> web.StreamResponse:
    """Send each chunk once the client has received the previous one; for HEAD, only the headers.

    A client that does not receive a chunk within ``patience_s`` is disconnected with a message.
    """
    response = web.StreamResponse(headers=HEADERS)
    # The options set on the connection are for this stream: no other request may reuse it.
    response.force_close()
    if request.method == hdrs.METH_HEAD or request.transport is None:
        return response
    writer = await _StreamWriter.open(request, request.transport, response, patience_s)
    try:
        async with aclosing(_report_errors(pieces)) as told:
            async for piece in told:
                if not is_still_authorized(request):
                    break
                await writer.send(piece)
        await writer.end()
    except ConnectionError:
        log.debug("a client of an event stream disconnected", path=request.path)
    except SlowReader:
        log.warning(
            "disconnected a slow client of an event stream",
            path=request.path,
            client=request.remote,
            seconds=patience_s,
        )
        await writer.drop()
    return response


class _StreamWriter:
    """Writes to one client, with at most one chunk buffered in this process."""

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
    ) -> "_StreamWriter":
        """Begin the response, with small buffers."""
        await response.prepare(request)
        # By default, the kernel buffers megabytes for a client that does not read.
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        # With this limit, drain() returns once the kernel has taken everything.
        transport.set_write_buffer_limits(high=0)
        return cls(transport, response, request.writer, patience_s)

    async def send(self, piece: bytes) -> None:
        """Send a chunk, and wait until it was taken. Raises SlowReader or ConnectionError."""
        if not piece:
            return
        async with self._patience():
            await self._response.write(piece)
            await self._writer.drain()

    async def end(self) -> None:
        """End the stream. Raises SlowReader or ConnectionError."""
        async with self._patience():
            await self._response.write_eof()

    async def drop(self) -> None:
        """Close the connection after a last message, whether or not the client receives it."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0):
                await self._response.write(DROPPED)
        self._transport.close()
        loop = asyncio.get_running_loop()
        loop.call_later(DROP_MESSAGE_SECONDS, self._transport.abort)

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except TimeoutError:
            raise SlowReader from None


async def _report_errors(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the chunks; when one cannot be produced, a comment for the client.

    The response has begun, so that a problem document is no longer possible.
    """
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
    except StoreUnavailable as error:
        yield comment(f"{error}; reconnect with the last id")
    except Exception:
        log.exception("internal error in an event stream")
        yield comment("internal server error; the server's log has the details")
