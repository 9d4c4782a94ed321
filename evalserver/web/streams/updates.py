"""What is new for one reader of a stream: events, progress, lines of a log.

Each is asked when the reader is ready for more, and looks where the news is kept; what changed
several times in between is told once, as it is now.
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
"""Events of one look into the audit log."""


class EventNews:
    """Events behind one that the reader knows, of one job or of all."""

    def __init__(
        self, store: Store, listener: Listener, after: int, job_id: str | None = None
    ) -> None:
        self._store = store
        self._listener = listener
        self._after = after
        self._job_id = job_id
        self._more = True

    async def page(self) -> list[Event]:
        """The next events; none when the reader has been given all that there are."""
        if not self._more and self._listener.newest_event <= self._after:
            return []
        page = await self._store.events_after(self._after, PAGE, self._job_id)
        self._more = len(page) == PAGE
        if page:
            self._after = page[-1].event_id
        return page


class ProgressNews:
    """Progress of one job or of all, each job's at most once in ``every_s`` seconds."""

    def __init__(self, board: ProgressBoard, every_s: float, job_id: str | None = None) -> None:
        self._board = board
        self._every_s = every_s
        self._job_id = job_id
        self._told: dict[str, tuple[Progress, float]] = {}

    def messages(self) -> bytes:
        """What may be told now."""
        now = time.monotonic()
        newest = self._newest()
        due = {job: new for job, new in newest.items() if self._wait_for(job, new, now) <= 0}
        kept = {job: told for job, told in self._told.items() if job in newest}
        self._told = {**kept, **{job: (new, now) for job, new in due.items()}}
        return b"".join(progress_message(job, new) for job, new in due.items())

    def wait_s(self) -> float:
        """Seconds until something may be told that is there already."""
        now = time.monotonic()
        waits = (self._wait_for(job, new, now) for job, new in self._newest().items())
        return max(0.0, min(waits, default=math.inf))

    def _newest(self) -> Mapping[str, Progress]:
        if self._job_id is None:
            return self._board.all()
        progress = self._board.of(self._job_id)
        return {} if progress is None else {self._job_id: progress}

    def _wait_for(self, job_id: str, newest: Progress, now: float) -> float:
        if job_id not in self._told:
            return 0.0
        told, at = self._told[job_id]
        return math.inf if told == newest else at + self._every_s - now


class LogNews:
    """New lines in the log of the job's attempt, for as long as it runs.

    Of an attempt that runs already, those are new that come from now on.
    """

    def __init__(self, job: Job, tail: LogTail | None, every_s: float) -> None:
        self._job = job
        self._tail = tail
        self._attempt = job.attempt
        self._every_s = every_s
        self._pause_s = every_s

    @classmethod
    async def of(cls, job: Job, every_s: float) -> "LogNews":
        """Of a job, by its record; looked for every so many seconds."""
        tail = None
        if job.status is Status.RUNNING and job.run_dir is not None:
            tail = await asyncio.to_thread(LogTail.at_end, Path(job.run_dir))
        return cls(job, tail, every_s)

    async def messages(self) -> bytes:
        """One more piece, if there is one."""
        if self._tail is not None and self._tail.has_grown():
            piece = await asyncio.to_thread(self._tail.lines)
            if piece is not None:
                return self._message(piece)
        self._pause_s = self._every_s
        return b""

    async def messages_before(self, event: Event) -> AsyncIterator[bytes]:
        """If the event ends the attempt: what its log still has."""
        if self._tail is not None and _ends_an_attempt(event):
            while piece := await asyncio.to_thread(self._tail.rest):
                yield self._message(piece)
            self._tail = None

    def go_on_after(self, event: Event) -> None:
        """If the event begins an attempt that is new: read its log from now on."""
        is_new = event.event_id > self._job.event_id
        if is_new and event.event == EventKind.CLAIMED:
            self._attempt = event.attempt
            self._tail = LogTail.at_beginning(Path(event.detail["run_dir"]))

    def wait_s(self) -> float:
        """Seconds until it is time to look into the log again."""
        return math.inf if self._tail is None else self._pause_s

    def _message(self, piece: LogPiece) -> bytes:
        # A log that grows without a pause may not keep the server busy with nothing else.
        self._pause_s = self._every_s / 10 if piece.more else self._every_s
        return log_message(self._job.job_id, self._attempt, piece)


class NoLogNews(LogNews):
    """For who did not ask for the log."""

    @classmethod
    async def of(cls, job: Job, every_s: float) -> "NoLogNews":
        """Of a job, whatever its record says."""
        return cls(job, None, every_s)

    def go_on_after(self, event: Event) -> None:
        """Begin no log."""


class Heart:
    """Now and then, beside whatever else is told: that the stream is alive."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def wait_s(self) -> float:
        """Seconds until the next beat."""
        return max(0.0, self._next - time.monotonic())

    def beat(self) -> bytes:
        """A heartbeat, when it is due."""
        if self.wait_s() > 0:
            return b""
        self._next = time.monotonic() + self._every_s
        return HEARTBEAT


def _ends_an_attempt(event: Event) -> bool:
    return event.from_status == Status.RUNNING and event.to_status != Status.RUNNING
