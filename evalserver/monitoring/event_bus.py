"""The event bus: wakes listeners when there is news of a job.

It carries only the id of the newest event. Listeners read events from the store, and progress from
the progress board. So nothing is buffered for a slow listener, and no listener misses an event.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from evalserver.store import CommittedEvent

ANY_JOB = None


class Listener:
    """Waits for news; created by ``EventBus.listening``."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.newest_event_id = 0
        """The id of the newest event that woke the listener; 0 before the first."""
        self.closed = False
        """Whether the server is stopping, so that there will be no more news."""

    def wake(self, event_id: int = 0) -> None:
        """Wake the listener for an event, or, without an id, for other news."""
        self.newest_event_id = max(self.newest_event_id, event_id)
        self._news.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for news since the last call. Returns False after a timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        if not self.closed:
            self._news.clear()
        return True


class EventBus:
    """Wakes the listeners of each job."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str | None, set[Listener]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def listening(self, job_id: str | None = ANY_JOB) -> Iterator[Listener]:
        """Listen to one job, or to all, during the block.

        To miss nothing, read the present state inside the block.
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
        """Wake the listeners for a committed event; called by the store."""
        self._wake(event.job_id, event.event_id)

    def notify(self, job_id: str) -> None:
        """Wake the listeners of this job and of all jobs for news that is not an event."""
        self._wake(job_id)

    def close(self) -> None:
        """Wake all listeners for the last time, so that open streams and long polls end."""
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
