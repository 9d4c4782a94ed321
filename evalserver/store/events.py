"""The audit log, and the one place where a job's state is changed: ``transition``.

A change and its event are one unit of work. Each event carries the hash of the one before, so
that a history that was edited shows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from evalserver.lifecycle import FINISHED, TRANSITIONS, EventKind, Status
from evalserver.store.committed import CommittedEvent
from evalserver.store.errors import IllegalTransition
from evalserver.store.writer import Row, Transaction

GENESIS_HASH = "0" * 64
"""The ``prev_hash`` of the first event."""

HASHED_COLUMNS = (
    "at", "actor", "job_id", "event", "from_status", "to_status", "attempt", "detail", "prev_hash",
)  # fmt: skip
"""What an event's hash covers, in this order."""

FACTS = "seq, status, priority, engine, attempt, created_at, started_at, completed_at"
"""The columns of a job that its events, and those who listen to them, know of."""

FINISH_NUMBER = ", finish_number = (SELECT coalesce(max(event_id), 0) + 1 FROM job_events)"
"""The id of the event that is about to be written. No event is ever taken away."""


@dataclass(frozen=True)
class Change:
    """An event that is about to happen: what, to which job, when, by whom, and what goes with it.

    ``columns`` are the columns of ``jobs`` that change beside the status.
    """

    kind: EventKind
    job_id: str
    at: str
    actor: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)


def transition(tx: Transaction, change: Change) -> None:
    """Move a job from one state to the next, and write the event, as one unit.

    Raises IllegalTransition, having changed nothing, when the job is not in a state from which
    the event may start.
    """
    allowed = TRANSITIONS[change.kind]
    row = _lock_row(tx, change)
    before = Status(row["status"])
    if before not in allowed.before:
        raise IllegalTransition(f"job {change.job_id} is {before}, it cannot be {change.kind}")
    if allowed.after is None:
        tx.execute("DELETE FROM jobs WHERE job_id = :job_id", {"job_id": change.job_id})
    else:
        row = _update(tx, change, before, allowed.after)
    record(tx, change, row, before, allowed.after)


def record(
    tx: Transaction,
    change: Change,
    row: Row | Mapping[str, Any],
    before: Status | None,
    after: Status | None,
) -> None:
    """Append one event to the audit log, chained to the one before it.

    ``row`` has the job's ``FACTS``, as the event leaves them.
    """
    values: dict[str, Any] = {
        "at": change.at,
        "actor": change.actor,
        "job_id": change.job_id,
        "event": change.kind.value,
        "from_status": before and before.value,
        "to_status": after and after.value,
        "attempt": row["attempt"],
        "detail": orjson.dumps(dict(change.detail), option=orjson.OPT_SORT_KEYS).decode(),
        "prev_hash": _last_hash(tx),
    }
    event_id = tx.insert(
        """
        INSERT INTO job_events (at, actor, job_id, event, from_status, to_status, attempt, detail,
                                prev_hash, hash)
        VALUES (:at, :actor, :job_id, :event, :from_status, :to_status, :attempt, :detail,
                :prev_hash, :hash)
        """,
        {**values, "hash": event_hash(values)},
    )
    tx.events.append(
        CommittedEvent(
            event_id=event_id,
            kind=change.kind,
            job_id=change.job_id,
            seq=row["seq"],
            priority=row["priority"],
            before=before,
            after=after,
            engine=row["engine"],
            attempt=row["attempt"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            completed_at=row["completed_at"],
        )
    )


def event_hash(values: Mapping[str, Any]) -> str:
    """SHA-256, as hexadecimal digits, over the hashed columns of an event as a JSON array."""
    return hashlib.sha256(orjson.dumps([values[name] for name in HASHED_COLUMNS])).hexdigest()


def _lock_row(tx: Transaction, change: Change) -> Row:
    rows = tx.execute(
        f"SELECT {FACTS} FROM jobs WHERE job_id = :job_id",  # noqa: S608
        {"job_id": change.job_id},
    )
    if not rows:
        raise IllegalTransition(f"job {change.job_id} is not there, it cannot be {change.kind}")
    return rows[0]


def _update(tx: Transaction, change: Change, before: Status, after: Status) -> Row:
    # Column names come from this package's own code, never from a request.
    assignments = "".join(f", {name} = :{name}" for name in change.columns)
    if after in FINISHED:
        assignments += FINISH_NUMBER
    rows = tx.execute(
        f"UPDATE jobs SET status = :after{assignments}"  # noqa: S608
        f" WHERE job_id = :job_id AND status = :before RETURNING {FACTS}",
        {
            **change.columns,
            "after": after.value,
            "before": before.value,
            "job_id": change.job_id,
        },
    )
    return rows[0]


def _last_hash(tx: Transaction) -> str:
    rows = tx.execute("SELECT hash FROM job_events ORDER BY event_id DESC LIMIT 1")
    return str(rows[0]["hash"]) if rows else GENESIS_HASH
