"""The audit log, and the one place where a job's state is changed: ``transition``.

A change and its event are one unit of work, with the usage of an attempt that ends. Each event
carries the hash of the previous one, so that an edited history is detected.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from evalserver.core.job import Demand, SeriesStep
from evalserver.core.lifecycle import FINISHED, TRANSITIONS, EventKind, Status
from evalserver.store.committed import CommittedEvent
from evalserver.store.errors import IllegalTransition
from evalserver.store.gpu_usage import record_attempt
from evalserver.store.transaction import Row, Transaction

GENESIS_HASH = "0" * 64
"""The ``prev_hash`` of the first event."""

HASHED_COLUMNS = (
    "at", "actor", "job_id", "event", "from_status", "to_status", "attempt", "detail", "prev_hash",
)  # fmt: skip
"""The columns that an event's hash covers, in this order."""

INSERT = f"""
    INSERT INTO job_events ({", ".join(HASHED_COLUMNS)}, hash)
    SELECT {", ".join(f"json_extract(value, '$[{n}]')" for n in range(len(HASHED_COLUMNS) + 1))}
    FROM json_each(:rows)
"""  # noqa: S608 - of this module's own constants

REQUEST_BYTES = "length(CAST(request AS BLOB))"
"""The size of a job's request in the database."""

DEMAND = (
    "CASE WHEN json_valid(request)"
    " THEN json_extract(request, '$.num_gpus', '$.timeout_s', '$.wait_for_path_s') END"
)
"""The values of a ``Demand`` as a JSON array; NULL if the request is damaged."""

GPUS = "CASE WHEN json_valid(gpus) THEN CASE json_type(gpus) WHEN 'array' THEN gpus END END"
"""The GPUs of a job's last attempt as a JSON array; NULL without, or if it is damaged."""

PLACE = "coalesce(place, seq)"
"""The place of a job among those of its priority."""

FACTS = (
    "seq, status, priority, engine, attempt, created_at, started_at, completed_at, submitted_by,"
    f" executor, handed_over_at, {REQUEST_BYTES} AS request_bytes, {DEMAND} AS demand,"
    f" {GPUS} AS gpus, {PLACE} AS place, newest_first, series, step"
)
"""The columns of a job that are passed on with its events to listeners."""

REMOVED_FACTS = (
    "seq, 0 AS priority, engine, attempt, created_at, started_at, completed_at, submitted_by,"
    " executor, NULL AS handed_over_at, 0 AS request_bytes, NULL AS demand, NULL AS gpus,"
    " seq AS place, 0 AS newest_first, NULL AS series, NULL AS step"
)
"""The same of a pruned job."""

FINISH_NUMBER = ", finish_number = (SELECT coalesce(max(event_id), 0) + 1 FROM job_events)"
"""The id of the event that is about to be written; what is archived is never the newest event."""

NOT_STALLED = ", stalled_since = NULL"
"""Only a running job can have stalled."""

IN_PLACE_OF = "in_place_of"
"""The detail of a start that names the job of the same series whose place the newer one took."""

ARCHIVED = "archived"
"""The only event without a job: the oldest part of the log was moved to a file."""

NO_JOB = ""
"""The job of such an event."""


@dataclass(frozen=True)
class Change:
    """An event that is about to happen: its kind, job, time, actor and details.

    ``columns`` are the columns of ``jobs`` that change besides the status.
    """

    kind: EventKind
    job_id: str
    at: str
    actor: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)


def transition(tx: Transaction, change: Change) -> None:
    """Move a job from one state to the next, and write the event, as one unit.

    Raises IllegalTransition, having changed nothing, when the event is not allowed in the job's
    state.
    """
    moves = TRANSITIONS[change.kind].moves
    row = _lock_row(tx, change)
    before = Status(row["status"])
    if before not in moves:
        raise IllegalTransition(f"job {change.job_id} is {before}, it cannot be {change.kind}")
    after = moves[before]
    if after is None:
        tx.execute("DELETE FROM jobs WHERE job_id = :job_id", {"job_id": change.job_id})
    else:
        row = _update(tx, change, before, after)
        if before is Status.RUNNING and after is not Status.RUNNING:
            record_attempt(tx, change.job_id, change.columns.get("completed_at", change.at))
    record(tx, [Happened(change, row, before, after)])


@dataclass(frozen=True)
class Happened:
    """A change that was made: from which state to which, and the job's ``FACTS`` after it."""

    change: Change
    row: Row | Mapping[str, Any]
    before: Status | None
    after: Status | None


def record(tx: Transaction, news: Sequence[Happened]) -> None:
    """Append events to the audit log, each chained to the previous one."""
    last = _last_hash(tx)
    rows = []
    for each in news:
        values = _values(each, last)
        last = _hash(values)
        rows.append([*values, last])
    event_ids = tx.insert(INSERT, rows)
    tx.last_hash = last
    tx.events += map(_committed, news, event_ids)


def append_archived(tx: Transaction, at: str, actor: str, detail: Mapping[str, Any]) -> int:
    """Append the event that a part of the log was archived; it has no job. Returns its id."""
    text = orjson.dumps(dict(detail), option=orjson.OPT_SORT_KEYS).decode()
    values = [at, actor, NO_JOB, ARCHIVED, None, None, 0, text, _last_hash(tx)]
    tx.last_hash = _hash(values)
    return tx.insert(INSERT, [[*values, tx.last_hash]])[0]


def _values(happened: Happened, prev_hash: str) -> list[Any]:
    """The ``HASHED_COLUMNS`` of an event."""
    change, before, after = happened.change, happened.before, happened.after
    return [
        change.at,
        change.actor,
        change.job_id,
        change.kind.value,
        before and before.value,
        after and after.value,
        happened.row["attempt"],
        orjson.dumps(dict(change.detail), option=orjson.OPT_SORT_KEYS).decode(),
        prev_hash,
    ]


def _committed(happened: Happened, event_id: int) -> CommittedEvent:
    row = happened.row
    return CommittedEvent(
        event_id=event_id,
        kind=happened.change.kind,
        job_id=happened.change.job_id,
        seq=row["seq"],
        priority=row["priority"],
        before=happened.before,
        after=happened.after,
        engine=row["engine"],
        attempt=row["attempt"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        submitted_by=row["submitted_by"],
        request_bytes=row["request_bytes"],
        demand=demand_of(row["demand"]),
        gpus=_gpus(happened),
        start_by=happened.change.detail.get("start_by"),
        failure=happened.change.detail.get("failure"),
        executor=row["executor"],
        handed_over_at=row["handed_over_at"],
        place=row["place"],
        in_place_of=happened.change.detail.get(IN_PLACE_OF),
        newest_first=newest_first(row),
    )


def newest_first(row: Row | Mapping[str, Any]) -> SeriesStep | None:
    """Return the series and step of a job of which the newest of its series goes first."""
    return SeriesStep(row["series"], row["step"]) if row["newest_first"] else None


def _gpus(happened: Happened) -> tuple[str, ...] | None:
    """Return the GPUs of the attempt that this began or ended."""
    is_attempt = Status.RUNNING in (happened.before, happened.after)
    text = happened.row["gpus"] if is_attempt else None
    return None if text is None else tuple(map(str, orjson.loads(text)))


@lru_cache(maxsize=1024)
def demand_of(text: str | None) -> Demand:
    """Return the demand in a column ``DEMAND``; the default if the request is damaged.

    Cached, so that the many queued jobs that ask for the same share it in memory.
    """
    if text is None:
        return Demand()
    num_gpus, timeout_s, wait_for_path_s = orjson.loads(text)
    return Demand(1 if num_gpus is None else num_gpus, timeout_s, wait_for_path_s is not None)


def event_hash(event: Mapping[str, Any]) -> str:
    """SHA-256, as hexadecimal digits, over the hashed columns of an event as a JSON array."""
    return _hash([event[name] for name in HASHED_COLUMNS])


def _hash(values: list[Any]) -> str:
    return hashlib.sha256(orjson.dumps(values)).hexdigest()


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
    if after in FINISHED and before is not after:
        assignments += FINISH_NUMBER
    if after is not Status.RUNNING:
        assignments += NOT_STALLED
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
    if tx.last_hash is not None:
        return tx.last_hash
    rows = tx.execute("SELECT hash FROM job_events ORDER BY event_id DESC LIMIT 1")
    return str(rows[0]["hash"]) if rows else GENESIS_HASH
