"""``GET /jobs/{job_id}/log``: the output of a job's harness: whole, a part, or followed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from aiohttp import hdrs, web

from evalserver.core.job import Job
from evalserver.core.plain_text import PlainText
from evalserver.monitoring.eval_log import EvalLog, LogGone, LogUnreadable
from evalserver.store import Store
from evalserver.web.http.byte_ranges import ByteRange, byte_range
from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import BUS, QUERY, STORE
from evalserver.web.security.authorization import is_still_authorized
from evalserver.web.streams.log_follower import LogFollower

log = structlog.get_logger("evalserver.web")

HEADERS = {
    hdrs.CONTENT_TYPE: "text/plain; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # otherwise nginx would buffer the stream
}

OFFSET_HEADER = "Log-Offset"
"""The offset in bytes of the response in the log, so that clients can continue a download."""

BLOCK_BYTES = 256 * 1024
PLAIN_BLOCK_BYTES = 32 * 1024
"""Bytes converted to plain text at a time, in a thread that competes for the GIL."""

Pieces = AsyncGenerator[bytes, None]


async def get_log(request: web.Request) -> web.StreamResponse:
    """``GET /jobs/{job_id}/log``: the log; empty if there is none yet, 410 if it was removed."""
    query, store = request[QUERY], request.app[STORE]
    job = await store.queries.job(request.match_info["job_id"])
    eval_log = EvalLog(await _run_dir(store, job, query.get("attempt")))
    try:
        size = await asyncio.to_thread(eval_log.size)
        part = ByteRange(await _start_offset(eval_log, size, query), size, size)
        if query.get("follow"):
            with closing(LogFollower(store, job, query.get("attempt"), eval_log)) as follower:
                pieces = follower.pieces(request.app[BUS], part.start)
                return await _stream(request, part, pieces)
        if query.get("plain"):
            return await _stream(request, part, _read_pieces(eval_log, part))
        return await _send_part(request, eval_log, part)
    finally:
        eval_log.close()


async def _run_dir(store: Store, job: Job, attempt: int | None) -> Path | None:
    """Return the run directory of an attempt, by default the latest; None before the first."""
    if attempt is None or attempt == job.attempt:
        return Path(job.run_dir) if job.run_dir else None
    found = await store.queries.run_dir(job.job_id, attempt)
    if found is None:
        raise BadRequest(
            HTTPStatus.NOT_FOUND,
            f"Job {job.job_id} has no attempt {attempt}; the latest is {job.attempt}",
        )
    return found


async def _start_offset(eval_log: EvalLog, size: int, query: Mapping[str, Any]) -> int:
    """Return the offset at which the response begins, at most ``size``."""
    offset: int = query.get("offset", 0)
    if "tail" in query:
        last = await asyncio.to_thread(eval_log.find_last_lines, query["tail"], size)
        offset = max(offset, last)
    return min(size, offset)


async def _send_part(
    request: web.Request, eval_log: EvalLog, part: ByteRange
) -> web.StreamResponse:
    """Send a range of bytes of known length, even if the log grows meanwhile."""
    response = web.StreamResponse(headers=HEADERS)
    if request[QUERY].keys().isdisjoint({"tail", "offset"}):
        response.headers[hdrs.ACCEPT_RANGES] = "bytes"
        asked = byte_range(request, part.size)
        if asked is not None:
            part = asked
            response.set_status(HTTPStatus.PARTIAL_CONTENT)
            response.headers[hdrs.CONTENT_RANGE] = part.content_range
    response.headers[OFFSET_HEADER] = str(part.start)
    response.content_length = part.end - part.start
    return await _send_pieces(request, response, _read_pieces(eval_log, part))


async def _stream(request: web.Request, part: ByteRange, pieces: Pieces) -> web.StreamResponse:
    """Send pieces of unknown total length."""
    shown = _to_plain_text(pieces) if request[QUERY].get("plain") else pieces
    response = web.StreamResponse(headers={**HEADERS, OFFSET_HEADER: str(part.start)})
    return await _send_pieces(request, response, shown)


async def _send_pieces(
    request: web.Request, response: web.StreamResponse, pieces: Pieces
) -> web.StreamResponse:
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if not is_still_authorized(request):
                    break
                if piece:
                    await response.write(piece)
                elif request.transport is None:
                    break
        await response.write_eof()
    except ConnectionError:
        log.debug("a client disconnected while a log was sent", path=request.path)
    except (LogGone, LogUnreadable) as error:
        # The response has begun: abort it, so that the client sees that it is incomplete.
        log.warning("aborted the response with a log", path=request.path, error=str(error))
        if request.transport is not None:
            request.transport.abort()
    return response


async def _read_pieces(eval_log: EvalLog, part: ByteRange) -> Pieces:
    offset = part.start
    while offset < part.end:
        max_bytes = min(BLOCK_BYTES, part.end - offset)
        piece = await asyncio.to_thread(eval_log.read, offset, max_bytes)
        if not piece:
            raise LogGone(f"The log has become shorter than {part.end} bytes")
        offset += len(piece)
        yield piece


async def _to_plain_text(pieces: Pieces) -> Pieces:
    plain = PlainText()
    async with aclosing(pieces):
        async for piece in pieces:
            yield await asyncio.to_thread(_feed, plain, piece)
    yield plain.rest()


def _feed(plain: PlainText, piece: bytes) -> bytes:
    parts = range(0, len(piece), PLAIN_BLOCK_BYTES)
    return b"".join(plain.feed(piece[at : at + PLAIN_BLOCK_BYTES]) for at in parts)
