"""The event bus: wakes who waits for news of a job, or of any.

It carries no news itself, only the number of the newest event, so that nobody looks for events in
vain. Who is woken reads what is new where it is kept: events in the store, progress on its board.
So nothing is buffered for a slow listener, and none can miss anything.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from evalserver.store import CommittedEvent

ANY_JOB = None


class Listener:
    """Who waits for news; made by ``EventBus.listening``."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.newest_event = 0
        """The id of the newest event that it was woken for; 0 before any."""
        self.closed = False
        """The server is going away: there will be no more news."""

    def wake(self, event_id: int = 0) -> None:
        """There is something new: an event of this id, or something else."""
        self.newest_event = max(self.newest_event, event_id)
        self._news.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for news since the last call; False if there were none for so many seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        if not self.closed:
            self._news.clear()
        return True


class EventBus:
    """Knows who listens to which job."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str | None, set[Listener]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def listening(self, job_id: str | None = ANY_JOB) -> Iterator[Listener]:
        """A listener to one job, or to all.

        News that come after the beginning of the block are not missed: look for what is there
        already within it.
        """
        listener = Listener()
        self._listeners[job_id].add(listener)
        if self._closed:
            _close(listener)
        try:
            yield listener
        finally:
            self._listeners[job_id].discard(listener)
            if not self._listeners[job_id]:
                del self._listeners[job_id]

    def on_event(self, event: CommittedEvent) -> None:
        """Tell of a change that is on disk; a listener of the store."""
        self._wake(event.job_id, event.event_id)

    def tell(self, job_id: str) -> None:
        """Wake who listens to this job, and who listens to all: there is other news than events."""
        self._wake(job_id)

    def close(self) -> None:
        """Wake everybody for the last time, so that open streams and long polls end."""
        self._closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                _close(listener)

    def __len__(self) -> int:
        return sum(map(len, self._listeners.values()))

    def _wake(self, job_id: str, event_id: int = 0) -> None:
        for key in (job_id, ANY_JOB):
            for listener in self._listeners.get(key, ()):
                listener.wake(event_id)


def _close(listener: Listener) -> None:
    listener.closed = True
    listener.wake()
