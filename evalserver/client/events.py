"""Following jobs by server-sent events, across broken connections and restarts of the server."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import httpx
from httpx_sse import ServerSentEvent

from evalserver.client.errors import Json, ServerUnreachable, error_from
from evalserver.client.evaluations import job_path
from evalserver.client.sending import Call, Sender

EVENT_STREAM = "text/event-stream"
READ_TIMEOUT_SECONDS = 60.0
"""A stream without a heartbeat for this long is taken as broken."""

END = "end"
"""The kind of a job's last event."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    ``kind`` is ``status`` (an event of the audit log), ``progress``, or ``end``: the job has
    finished, nothing follows. ``id`` is what to give as ``last_event_id`` to go on from here.
    """

    kind: str
    id: int
    data: Json


class EventCalls:
    """Calls that follow jobs."""

    _sender: Sender

    async def events(
        self, job_id: str | None = None, last_event_id: int | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a job until it has finished, or those of all jobs without end.

        A job's events begin with its submission, those of all jobs with the next one; with
        ``last_event_id`` they begin after that one. A broken connection is opened again, and missed
        events follow then.

        >>> [event.data["to"] for event in client.events(job_id) if event.kind == "status"]
        ['queued', 'running', 'completed']
        """
        path = "/events" if job_id is None else f"{job_path(job_id)}/events"
        seen = last_event_id
        breaks = 0
        while True:
            response = await self._open_stream(path, seen)
            try:
                async with aclosing(self._messages(response)) as messages:
                    async for message in messages:
                        breaks = 0
                        seen = int(message.id) if message.id.isdigit() else seen
                        if message.event != "message":
                            yield Event(message.event, seen or 0, message.json())
                        if message.event == END:
                            return
            except ServerUnreachable:
                pass  # events received so far count; the rest is requested below
            await self._sender.pause(breaks)
            breaks += 1

    async def newest_event_id(self) -> int:
        """Return the id of the newest event now: what ``events(last_event_id=)`` begins after.

        >>> client.newest_event_id() > 0
        True
        """
        response = await self._open_stream("/events", None)
        async with aclosing(self._messages(response)) as messages:
            async for message in messages:
                if message.id.isdigit():
                    return int(message.id)
        raise ServerUnreachable(
            f"{self._sender.url} ended the stream of events before its beginning"
        )

    async def _open_stream(self, path: str, seen: int | None) -> httpx.Response:
        headers = {"Accept": EVENT_STREAM}
        if seen is not None:
            headers["Last-Event-ID"] = str(seen)
        opening = Call("GET", path, headers=headers, server_wait_s=READ_TIMEOUT_SECONDS)
        response = await self._sender.open(opening)
        if response.headers.get("Content-Type", "").startswith(EVENT_STREAM):
            return response
        await self._sender.read(response)
        raise error_from(response.request, response)

    async def _messages(self, response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
        try:
            async with aclosing(self._sender.transport.messages(response)) as messages:
                async for message in messages:
                    yield message
        finally:
            await self._sender.transport.end(response)
