"""The loop: reads finished jobs, sends them, and keeps how far that came, through outages."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus

from evalserver.client import RequestFailed, ServerUnreachable
from evalserver.trackers.destination import Destination, Unreachable
from evalserver.trackers.feed import Entry, Feed
from evalserver.trackers.filters import Filters
from evalserver.trackers.state import State

MAX_UNFLUSHED = 200
MAX_UNFLUSHED_SECONDS = 2.0
"""While there is a backlog, records are flushed after so many or so long."""

MAX_UNSAVED_EVENTS = 500
"""Events of nothing to send after which the cursor is saved all the same."""

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0


class Stopped(Exception):
    """The follower was asked to stop."""


class Start(Enum):
    """Where a follower begins."""

    RESUME = "resume"
    """After what it has sent; the first time, at the beginning."""
    BEGINNING = "beginning"
    """At the oldest job, also if it has sent before."""
    NOW = "now"
    """The first time, after what has finished already."""


@dataclass
class StopRequest:
    """A request to stop, which a signal handler makes.

    It interrupts only waiting: a record that is being sent is sent first.
    """

    requested: bool = False
    _waiting: bool = field(default=False, init=False)

    def __call__(self) -> None:
        """Ask to stop. Raises Stopped while the follower waits, or when asked twice."""
        asked_before, self.requested = self.requested, True
        if self._waiting or asked_before:
            raise Stopped

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait in the block, which Stopped may end."""
        self._waiting = True
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._waiting = False


class Follower:
    """Sends the finished jobs of a server to a destination."""

    def __init__(
        self,
        feed: Feed,
        destination: Destination,
        state: State,
        filters: Filters,
        *,
        warn: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._feed = feed
        self._destination = destination
        self._state = state
        self._filters = filters
        self._warn = warn
        self._sleep = sleep
        self.stop = StopRequest()
        self.sent = 0
        """Records that the destination has taken."""
        self._cursor = self._saved = 0
        self._unflushed = 0
        self._flushed_at = time.monotonic()

    def send_once(self, start: Start) -> None:
        """Send what has finished until now. Raises the errors of the server and the destination,
        and Stopped."""
        self._begin(start)
        self._follow(self._feed.newest_event_id(), once=True)

    def send_forever(self, start: Start) -> None:
        """Send what finishes, through outages of both sides, until Stopped is raised.

        Raises Rejected, and RequestFailed for what the server will not answer later either.
        """
        failures = 0
        begun = False
        while True:
            before = self._saved
            try:
                if not begun:
                    self._begin(start)
                    begun = True
                self._follow(self._feed.newest_event_id(), once=False)
            except (ServerUnreachable, RequestFailed, Unreachable, OSError) as error:
                if isinstance(error, RequestFailed) and _is_final(error):
                    raise
                failures = 0 if self._saved > before else failures
                pause_s = _pause_s(failures)
                self._warn(f"{_words(error)}; trying again in {pause_s:.0f} s")
                failures += 1
            with self.stop.waiting():
                self._sleep(pause_s)

    def _begin(self, start: Start) -> None:
        found = self._state.load() if start is not Start.BEGINNING else 0
        if found is None and start is Start.NOW:
            found = self._feed.newest_event_id()
            self._state.save(found)
        self._cursor = self._saved = found or 0
        # What a crash has left unfinished is finished also if nothing follows.
        self._destination.flush()

    def _follow(self, backlog_end: int, *, once: bool) -> None:
        """Send what follows the saved cursor; with ``once``, until the end of the backlog."""
        if self._saved > backlog_end:
            # The ids of the log only grow: this is another database, such as one of a backup. No
            # record comes twice, so nothing is lost by beginning again.
            self._warn("the server's log is shorter than it was; beginning with the oldest job")
            self._state.save(0)
            self._saved = 0
        self._cursor, self._unflushed = self._saved, 0
        if once and self._cursor >= backlog_end:
            return
        entries = self._feed.entries(self._cursor)
        try:
            while True:
                with self.stop.waiting():
                    entry = next(entries)
                self._take(entry)
                if entry.event_id >= backlog_end or self._is_due():
                    self._keep(has_backlog=entry.event_id < backlog_end)
                if once and entry.event_id >= backlog_end:
                    self._save()
                    return
        except Stopped:
            self._save()
            raise
        except (ServerUnreachable, RequestFailed):
            self._save()
            raise
        finally:
            entries.close()

    def _take(self, entry: Entry) -> None:
        record = None if entry.record is None else self._filters.select(entry.record)
        if record is not None:
            self._destination.send(record)
            self._unflushed += 1
        self._cursor = entry.event_id

    def _is_due(self) -> bool:
        waited_s = time.monotonic() - self._flushed_at
        return self._unflushed >= MAX_UNFLUSHED or waited_s >= MAX_UNFLUSHED_SECONDS

    def _keep(self, *, has_backlog: bool) -> None:
        """Save the cursor if that is worth it: events of nothing to send are many."""
        if self._unflushed or has_backlog or self._cursor - self._saved >= MAX_UNSAVED_EVENTS:
            self._save()

    def _save(self) -> None:
        """Make sure of what was sent, then save the cursor: never the other way round."""
        self._destination.flush()
        self.sent += self._unflushed
        self._unflushed = 0
        self._flushed_at = time.monotonic()
        if self._cursor != self._saved:
            self._state.save(self._cursor)
            self._saved = self._cursor


def _pause_s(failures: int) -> float:
    longest = min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 16))
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter


def _is_final(error: RequestFailed) -> bool:
    return not error.temporary and error.status < HTTPStatus.INTERNAL_SERVER_ERROR


def _words(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.filename or 'the destination or the state'}: {error.strerror or error}"
