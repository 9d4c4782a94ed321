"""Following jobs: ``GET /jobs/{job_id}/events`` and ``GET /events``, as server-sent events.

Event ids are those of the audit log, so a client that reconnects with the last id that it received
gets exactly the events that it missed. In ``web/streams``, ``updates.py`` finds updates,
``messages.py`` formats them, and ``event_stream.py`` sends them.
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
    """``GET /events``: all events from now on, or after a given event, and all progress."""
    app = request.app
    with app[BUS].listening() as listener:
        newest = await app[STORE].events.newest_id()
        last_event_id = _last_event_id(request, newest)
        messages = _all_messages(app, listener, newest if last_event_id is None else last_event_id)
        return await send_stream(request, messages, app[STREAM_LIMITS].patience_s)


async def get_job_events(request: web.Request) -> web.StreamResponse:
    """``GET /jobs/{job_id}/events``: past and future events of a job, and its progress."""
    app = request.app
    job_id = request.match_info["job_id"]
    with app[BUS].listening(job_id) as listener:
        job = await app[STORE].queries.job(job_id)
        last_event_id = _last_event_id(request, await app[STORE].events.newest_id())
        log = await (LogUpdates if request[QUERY].get("log") else NoLogUpdates).of(
            job, app[STREAM_LIMITS].log_s
        )
        messages = _job_messages(app, listener, job, last_event_id or 0, log)
        return await send_stream(request, messages, app[STREAM_LIMITS].patience_s)


def _last_event_id(request: web.Request, newest: int) -> int | None:
    """Return the id of the last event that the client has received, if it sends one.

    The header has precedence, since an EventSource that reconnects adds the header but keeps the
    original URL.
    """
    given = request[QUERY].get("last_event_id")
    last_event_id: int | None = request[HEADERS].get("last_event_id", given)
    # A future id is from another database, such as before a backup was restored.
    return last_event_id if last_event_id is not None and last_event_id <= newest else None


async def _all_messages(
    app: web.Application, listener: Listener, after: int
) -> AsyncGenerator[bytes, None]:
    limits = app[STREAM_LIMITS]
    events = EventUpdates(app[STORE], listener, after)
    progress = ProgressUpdates(app[PROGRESS], limits.progress_s)
    heartbeat = Heartbeat(limits.heartbeat_s)
    yield opening(after)
    while not listener.closed:
        while page := await events.page():
            yield b"".join(map(status_message, page))
        yield progress.messages()
        await listener.wait(min(progress.wait_s(), heartbeat.wait_s()))
        yield heartbeat.message_if_due()
    yield STOPPING


async def _job_messages(
    app: web.Application, listener: Listener, job: Job, after: int, log: LogUpdates
) -> AsyncGenerator[bytes, None]:
    limits = app[STREAM_LIMITS]
    events = EventUpdates(app[STORE], listener, after, job.job_id)
    progress = ProgressUpdates(app[PROGRESS], limits.progress_s, job.job_id)
    heartbeat = Heartbeat(limits.heartbeat_s)
    status = job.status
    yield opening(after)
    while not listener.closed:
        while page := await events.page():
            for event in page:
                async for piece in log.remaining_messages(event):
                    yield piece
                yield status_message(event)
                log.begin_attempt(event)
                # Pruning a job does not change its status.
                status = Status(event.to_status or status)
        # Only here: a job that was retried had finished before.
        if status in FINISHED:
            yield end_message(job.job_id, status)
            return
        yield progress.messages()
        yield await log.messages()
        await listener.wait(min(progress.wait_s(), log.wait_s(), heartbeat.wait_s()))
        yield heartbeat.message_if_due()
    yield STOPPING
