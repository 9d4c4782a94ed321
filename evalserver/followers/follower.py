"""A follower of the audit log: handles events in order, each at least once, whatever crashes.

It reads from a cursor that is kept in the database, in a task of its own: it delays no command and
no other follower, and nothing is buffered for it in memory. An event whose handler fails is handled
again, before any later one. While the store is unavailable, the follower waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial

from evalserver.attempts.retry import retry_until_writable
from evalserver.core.lifecycle import EventKind
from evalserver.store import CommittedEvent, Event, Store, StoreUnavailable

PAGE = 200
"""The events that are read at once."""

SAVE_SECONDS = 1.0
"""How long after an event was handled the cursor is moved: a commit each would slow jobs down."""

GATHER_SECONDS = 0.05
"""How long events are gathered before they are read: one read for several, and what the server has
to do for the next job comes first."""

Handler = Callable[[Event], Awaitable[None]]


class Follower:
    """Passes the events of some kinds to a handler, one after the other.

    The first start of a follower, by its name, begins with the events that come then. The handler
    must bear an event that it has handled before: after a crash it receives again what it handled
    since the cursor moved last. After StoreUnavailable it receives the event again; what else it
    raises ends ``run``, which is to be supervised.
    """

    def __init__(
        self, name: str, store: Store, kinds: Collection[EventKind], handle: Handler
    ) -> None:
        self.name = name
        self._store = store
        self._kinds = frozenset(kinds)
        self._handle = handle
        self._news = asyncio.Event()
        self._saved = 0
        self._done = 0
        self._save_at: float | None = None
        """The time of the event loop at which the cursor is to be moved; None: nothing was handled
        since it was moved."""

    async def run(self) -> None:
        """Follow until it is cancelled."""
        begin = partial(self._store.cursors.begin, self.name, self._kinds)
        self._saved = self._done = await retry_until_writable(begin)
        self._store.subscribe(self._on_event)
        try:
            while True:
                self._news.clear()
                while await retry_until_writable(self._read_page):
                    pass
                if await self._is_quiet():
                    await retry_until_writable(self._save)
                else:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._store.unsubscribe(self._on_event)
            # Not essential: the events since then are only read again.
            with suppress(StoreUnavailable):
                await self._save()

    def _on_event(self, event: CommittedEvent) -> None:
        if event.kind in self._kinds:
            self._news.set()

    async def _read_page(self) -> bool:
        """Handle the next events; False when there are no more."""
        events = await self._store.events.of_kinds(self._kinds, self._done, PAGE)
        for event in events:
            await self._handle(event)
            self._done = event.event_id
        now = asyncio.get_running_loop().time()
        if events and self._save_at is None:
            self._save_at = now + SAVE_SECONDS
        if self._save_at is not None and now >= self._save_at:
            await self._save()
        return len(events) == PAGE

    async def _is_quiet(self) -> bool:
        """Wait for news; True when there are none until the cursor is to be moved."""
        try:
            async with asyncio.timeout_at(self._save_at):
                await self._news.wait()
        except TimeoutError:
            return True
        return False

    async def _save(self) -> None:
        if self._done > self._saved:
            await self._store.cursors.advance(self.name, self._done)
            self._saved = self._done
        self._save_at = None
