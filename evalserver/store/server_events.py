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


class ServerOperation(StrEnum):
    """The operations on a server, by their names in its log."""

    DRAINED = "drained"
    RESUMED = "resumed"
    BACKED_UP = "backed_up"
    CATALOG_REFRESHED = "catalog_refreshed"
    GPU_QUARANTINED = "gpu_quarantined"
    GPU_QUARANTINE_ENDED = "gpu_quarantine_ended"
    GPU_PROCESSES_KILLED = "gpu_processes_killed"


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


async def draining(readers: Readers) -> Draining | None:
    """Whether the server is draining, and by whom."""
    return _draining(await readers.fetch(NEWEST))


def _draining(rows: list[Row]) -> Draining | None:
    if not rows or rows[0]["event"] != ServerOperation.DRAINED:
        return None
    reason = orjson.loads(rows[0]["detail"]).get("reason")
    return Draining(rows[0]["at"], rows[0]["actor"], reason)
