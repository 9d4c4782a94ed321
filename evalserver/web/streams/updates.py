"""The updates for one client of a stream: events, progress, lines of a log.

Updates are polled when the client is ready for more; what changed several times in between is sent
once, in its current state.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from evalserver.core.job import Job
from evalserver.core.lifecycle import EventKind, Status
from evalserver.monitoring.event_bus import Listener
from evalserver.monitoring.log_tail import LogPiece, LogTail
from evalserver.monitoring.progress import Progress, ProgressBoard
from evalserver.store import Event, Store
from evalserver.web.streams.messages import HEARTBEAT, log_message, progress_message

PAGE = 100
"""Events read at a time from the audit log."""


class EventUpdates:
    """Events after the one that the client knows, of one job or of all."""

    def __init__(
        self, store: Store, listener: Listener, after: int, job_id: str | None = None
    ) -> None:
        self._store = store
        self._listener = listener
        self._after = after
        self._job_id = job_id
        self._more = True

    async def page(self) -> list[Event]:
        """The next events; empty when the client has received all of them."""
        if not self._more and self._listener.newest_event_id <= self._after:
            return []
        page = await self._store.events.after(self._after, PAGE, self._job_id)
        self._more = len(page) == PAGE
        if page:
            self._after = page[-1].event_id
        return page


class ProgressUpdates:
    """Progress of one job or of all, each job's at most once in ``every_s`` seconds."""

    def __init__(self, board: ProgressBoard, every_s: float, job_id: str | None = None) -> None:
        self._board = board
        self._every_s = every_s
        self._job_id = job_id
        self._sent: dict[str, tuple[Progress, float]] = {}

    def messages(self) -> bytes:
        """The messages that are due."""
        now = time.monotonic()
        newest = self._newest()
        due = {job: new for job, new in newest.items() if self._wait_for(job, new, now) <= 0}
        kept = {job: sent for job, sent in self._sent.items() if job in newest}
        self._sent = {**kept, **{job: (new, now) for job, new in due.items()}}
        return b"".join(progress_message(job, new) for job, new in due.items())

    def wait_s(self) -> float:
        """Seconds until the next message is due, of the progress known now."""
        now = time.monotonic()
        waits = (self._wait_for(job, new, now) for job, new in self._newest().items())
        return max(0.0, min(waits, default=math.inf))

    def _newest(self) -> Mapping[str, Progress]:
        if self._job_id is None:
            return self._board.all()
        progress = self._board.get(self._job_id)
        return {} if progress is None else {self._job_id: progress}

    def _wait_for(self, job_id: str, newest: Progress, now: float) -> float:
        if job_id not in self._sent:
            return 0.0
        sent, at = self._sent[job_id]
        return math.inf if sent == newest else at + self._every_s - now


class LogUpdates:
    """New lines in the log of the job's attempt while it runs.

    For an attempt that is already running, only lines written from now on are new.
    """

    def __init__(self, job: Job, tail: LogTail | None, every_s: float) -> None:
        self._job = job
        self._tail = tail
        self._attempt = job.attempt
        self._every_s = every_s
        self._pause_s = every_s

    @classmethod
    async def of(cls, job: Job, every_s: float) -> "LogUpdates":
        """Create the updates of a job, polled every ``every_s`` seconds."""
        tail = None
        if job.status is Status.RUNNING and job.run_dir is not None:
            tail = await asyncio.to_thread(LogTail.at_end, Path(job.run_dir))
        return cls(job, tail, every_s)

    async def messages(self) -> bytes:
        """The next chunk, if there is one."""
        if self._tail is not None and self._tail.has_grown():
            piece = await asyncio.to_thread(self._tail.read_lines)
            if piece is not None:
                return self._message(piece)
        self._pause_s = self._every_s
        return b""

    async def remaining_messages(self, event: Event) -> AsyncIterator[bytes]:
        """The rest of the log, if the event ends the attempt."""
        if self._tail is not None and _ends_attempt(event):
            while piece := await asyncio.to_thread(self._tail.read_rest):
                yield self._message(piece)
            self._tail = None

    def begin_attempt(self, event: Event) -> None:
        """Follow the log of a new attempt, if the event begins one."""
        is_new = event.event_id > self._job.event_id
        if is_new and event.event in (EventKind.CLAIMED, EventKind.HANDED_OVER):
            self._attempt = event.attempt
            self._tail = LogTail.at_beginning(Path(event.detail["run_dir"]))

    def wait_s(self) -> float:
        """Seconds until the log is to be read again."""
        return math.inf if self._tail is None else self._pause_s

    def _message(self, piece: LogPiece) -> bytes:
        # A log that grows continuously must not keep the server busy with nothing else.
        self._pause_s = self._every_s / 10 if piece.more else self._every_s
        return log_message(self._job.job_id, self._attempt, piece)


class NoLogUpdates(LogUpdates):
    """For clients that did not request the log."""

    @classmethod
    async def of(cls, job: Job, every_s: float) -> "NoLogUpdates":
        """Create updates that read no log."""
        return cls(job, None, every_s)

    def begin_attempt(self, event: Event) -> None:
        """Follow no log."""


class Heartbeat:
    """Sends a heartbeat at regular intervals."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def wait_s(self) -> float:
        """Seconds until the next heartbeat."""
        return max(0.0, self._next - time.monotonic())

    def message_if_due(self) -> bytes:
        """The heartbeat, if it is due."""
        if self.wait_s() > 0:
            return b""
        self._next = time.monotonic() + self._every_s
        return HEARTBEAT


def _ends_attempt(event: Event) -> bool:
    return event.from_status == Status.RUNNING and event.to_status != Status.RUNNING
