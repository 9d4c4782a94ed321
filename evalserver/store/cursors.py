"""The cursors of followers: up to which event of the audit log each of them has handled all."""

from collections.abc import Collection

from evalserver.core.lifecycle import EventKind
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Transaction
from evalserver.store.writer import Writer


class CursorStore:
    """The part of a store that is about cursors; every command returns once it is durable.

    Commands raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def begin(self, follower: str, kinds: Collection[EventKind]) -> int:
        """The last event that a follower of these kinds has handled; of a new one, the newest."""
        return await self._writer.run(lambda tx: begin_cursor(tx, follower, kinds))

    async def advance(self, follower: str, last_event: int) -> None:
        """Record that a follower has handled the events up to this one."""
        await self._writer.run(lambda tx: advance(tx, follower, last_event))

    async def find(self, follower: str) -> int | None:
        """The last event that a follower has handled; None if it has no cursor."""
        rows = await self._readers.fetch(
            "SELECT last_event FROM follower_cursors WHERE follower = :follower",
            {"follower": follower},
        )
        return int(rows[0]["last_event"]) if rows else None


def begin_cursor(tx: Transaction, follower: str, kinds: Collection[EventKind]) -> int:
    """Create a follower's cursor at the newest event, unless it has one. Returns its event."""
    rows = tx.execute(
        "INSERT INTO follower_cursors (follower, kinds, last_event) VALUES"
        " (:follower, :kinds, (SELECT coalesce(max(event_id), 0) FROM job_events))"
        " ON CONFLICT (follower) DO UPDATE SET kinds = excluded.kinds RETURNING last_event",
        {"follower": follower, "kinds": json_text(sorted(kinds))},
    )
    return int(rows[0]["last_event"])


def advance(tx: Transaction, follower: str, last_event: int) -> bool:
    """Move a follower's cursor up to an event; False if it is there already, or beyond."""
    moved = tx.execute(
        "UPDATE follower_cursors SET last_event = :last_event"
        " WHERE follower = :follower AND last_event < :last_event RETURNING last_event",
        {"follower": follower, "last_event": last_event},
    )
    return bool(moved)
