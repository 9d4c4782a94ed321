"""Following jobs: ``GET /jobs/{job_id}/events`` and ``GET /events``, as server-sent events.

Ids are those of the audit log: who comes back with the last one that it saw is told exactly what it
missed. ``news.py`` finds what is new, ``messages.py`` words it, ``event_stream.py`` sends it.
"""

from collections.abc import AsyncGenerator

from aiohttp import web

from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.monitoring.event_bus import Listener
from evalserver.web.keys import BUS, HEADERS, PROGRESS, QUERY, STORE, STREAM_LIMITS
from evalserver.web.streams.event_stream import send_stream
from evalserver.web.streams.messages import STOPPING, end_message, opening, status_message
from evalserver.web.streams.updates import (
    EventUpdates,
    Heartbeat,
    LogUpdates,
    NoLogUpdates,
    ProgressUpdates,
)


async def get_events(request: web.Request) -> web.StreamResponse:
    """``GET /events``: every event from now on, or behind the last one seen, and all progress."""
    app = request.app
    with app[BUS].listening() as listener:
        newest = await app[STORE].newest_event_id()
        seen = _last_seen(request, newest)
        told = _of_all(app, listener, newest if seen is None else seen)
        return await send_stream(request, told, app[STREAM_LIMITS].patience_s)


async def get_job_events(request: web.Request) -> web.StreamResponse:
    """``GET /jobs/{job_id}/events``: the job's story, its progress, and what is still to come."""
    app = request.app
    job_id = request.match_info["job_id"]
    with app[BUS].listening(job_id) as listener:
        job = await app[STORE].job(job_id)
        seen = _last_seen(request, await app[STORE].newest_event_id())
        log = await (LogUpdates if request[QUERY].get("log") else NoLogUpdates).of(
            job, app[STREAM_LIMITS].log_s
        )
        told = _of_job(app, listener, job, seen or 0, log)
        return await send_stream(request, told, app[STREAM_LIMITS].patience_s)


def _last_seen(request: web.Request, newest: int) -> int | None:
    """The last event that the reader has seen, if it names one.

    An EventSource that comes back names it in the header, and has still the address that it was
    given: so the header counts first.
    """
    given = request[QUERY].get("last_event_id")
    seen: int | None = request[HEADERS].get("last_event_id", given)
    # An id that is yet to come is one of another database, such as before a restored backup.
    return seen if seen is not None and seen <= newest else None


async def _of_all(
    app: web.Application, listener: Listener, after: int
) -> AsyncGenerator[bytes, None]:
    limits = app[STREAM_LIMITS]
    events = EventUpdates(app[STORE], listener, after)
    progress = ProgressUpdates(app[PROGRESS], limits.progress_s)
    heart = Heartbeat(limits.heartbeat_s)
    yield opening(after)
    while not listener.closed:
        while page := await events.page():
            yield b"".join(map(status_message, page))
        yield progress.messages()
        await listener.wait(min(progress.wait_s(), heart.wait_s()))
        yield heart.message_if_due()
    yield STOPPING


async def _of_job(
    app: web.Application, listener: Listener, job: Job, after: int, log: LogUpdates
) -> AsyncGenerator[bytes, None]:
    limits = app[STREAM_LIMITS]
    events = EventUpdates(app[STORE], listener, after, job.job_id)
    progress = ProgressUpdates(app[PROGRESS], limits.progress_s, job.job_id)
    heart = Heartbeat(limits.heartbeat_s)
    status = job.status
    yield opening(after)
    while not listener.closed:
        while page := await events.page():
            for event in page:
                async for piece in log.remaining_messages(event):
                    yield piece
                yield status_message(event)
                log.begin_attempt(event)
                # A job that is pruned stays what it was when it finished.
                status = Status(event.to_status or status)
        # A job that was tried again had finished before, and goes on.
        if status in FINISHED:
            yield end_message(job.job_id, status)
            return
        yield progress.messages()
        yield await log.messages()
        await listener.wait(min(progress.wait_s(), log.wait_s(), heart.wait_s()))
        yield heart.message_if_due()
    yield STOPPING
