"""The log of server operations and their actors, which also says whether the server is draining.

A separate append-only log: each event of the audit log belongs to a job.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from evalserver.store.errors import IllegalTransition
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row, Transaction

NEWEST = (
    "SELECT at, actor, event, detail FROM server_events"
    " WHERE event IN ('drained', 'resumed') ORDER BY event_id DESC LIMIT 1"
)
"""The state of the queue is that of its last operation."""


NEWEST_OF_DISK = (
    "SELECT event FROM server_events"
    " WHERE event IN ('disk_low', 'disk_ok') ORDER BY event_id DESC LIMIT 1"
)


class ServerOperation(StrEnum):
    """The operations on a server, by their names in its log."""

    DRAINED = "drained"
    RESUMED = "resumed"
    BACKED_UP = "backed_up"
    CATALOG_REFRESHED = "catalog_refreshed"
    GPU_QUARANTINED = "gpu_quarantined"
    GPU_QUARANTINE_ENDED = "gpu_quarantine_ended"
    GPU_PROCESSES_KILLED = "gpu_processes_killed"
    DISK_LOW = "disk_low"
    DISK_OK = "disk_ok"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_ENABLED = "webhook_enabled"
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_SECRET_ROTATED = "webhook_secret_rotated"  # noqa: S105 - no secret
    WEBHOOK_RESENT = "webhook_resent"
    WEBHOOK_DISCARDED = "webhook_discarded"


@dataclass(frozen=True)
class Draining:
    """The server is draining: since when, by whom, and why (None: no reason was given)."""

    since: str
    by: str
    reason: str | None


def drain(tx: Transaction, at: str, actor: str, reason: str | None) -> Draining:
    """Start no more jobs. Draining again changes nothing, except for a new reason."""
    now = _draining(tx.execute(NEWEST))
    if now is not None and reason in (None, now.reason):
        return now
    append(tx, ServerOperation.DRAINED, at, actor, {"reason": reason})
    return Draining(at, actor, reason)


def resume(tx: Transaction, at: str, actor: str) -> bool:
    """Start jobs again; False when the server was not draining."""
    if _draining(tx.execute(NEWEST)) is None:
        return False
    append(tx, ServerOperation.RESUMED, at, actor, {})
    return True


def append(
    tx: Transaction, operation: ServerOperation, at: str, actor: str, detail: Mapping[str, Any]
) -> None:
    """Append an operation to the log."""
    tx.execute(
        "INSERT INTO server_events (at, actor, event, detail)"
        " VALUES (:at, :actor, :event, :detail)",
        {"at": at, "actor": actor, "event": operation.value, "detail": json_text(dict(detail))},
    )


def require_open_queue(tx: Transaction) -> None:
    """Raise IllegalTransition while the server is draining."""
    if _draining(tx.execute(NEWEST)) is not None:
        raise IllegalTransition("the server is draining, and starts nothing")


async def is_disk_low(readers: Readers) -> bool:
    """Whether the last that was recorded of the disk is that it is nearly full."""
    rows = await readers.fetch(NEWEST_OF_DISK)
    return bool(rows) and rows[0]["event"] == ServerOperation.DISK_LOW


def begin_cursor(tx: Transaction, follower: str) -> int:
    """Create a follower's cursor in this log at its newest event, unless it has one. Returns it."""
    rows = tx.execute(
        "INSERT INTO follower_cursors (follower, kinds, last_event) VALUES"
        " (:follower, '[]', (SELECT coalesce(max(event_id), 0) FROM server_events))"
        " ON CONFLICT (follower) DO UPDATE SET kinds = '[]' RETURNING last_event",
        {"follower": follower},
    )
    return int(rows[0]["last_event"])


async def read_after(readers: Readers, after: int, most: int) -> list[Row]:
    """The first events with an id above ``after``."""
    return await readers.fetch(
        "SELECT event_id, at, actor, event, detail FROM server_events"
        " WHERE event_id > :after ORDER BY event_id LIMIT :most",
        {"after": after, "most": most},
    )


async def draining(readers: Readers) -> Draining | None:
    """Whether the server is draining, and by whom."""
    return _draining(await readers.fetch(NEWEST))


def _draining(rows: list[Row]) -> Draining | None:
    if not rows or rows[0]["event"] != ServerOperation.DRAINED:
        return None
    reason = orjson.loads(rows[0]["detail"]).get("reason")
    return Draining(rows[0]["at"], rows[0]["actor"], reason)
