"""One job's history: its events, and its record unless it was pruned."""

import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.store.archive_file import Archive
from evalserver.store.errors import JobNotFound
from evalserver.store.event_log import COLUMNS, Event, event_of
from evalserver.store.verify_archives import archives_of

RECORD = (
    "status", "engine", "model", "tasks", "labels", "submitted_by", "created_at", "started_at",
    "completed_at", "attempt", "max_attempts", "run_dir", "output_dir", "exit_code", "error",
)  # fmt: skip
"""The columns of ``jobs`` in the history; the others can be read in the database."""

BEHIND_ALL = "\U0010ffff"
"""Sorts after every character of an id."""
HAS_PART = "((job_id >= :part AND job_id < :end) OR substr(job_id, -length(:part)) = :part)"
"""The ids that begin or end with ``part``; ``end`` sorts after those that begin so."""
FROM_ARCHIVED_JOBS = f" UNION SELECT job_id FROM archived_jobs WHERE {HAS_PART}"  # noqa: S608
MAX_NAMED = 3

OF_JSON = {"tasks", "labels"}


@dataclass(frozen=True)
class JobHistory:
    """A job's record, None when it was pruned, and its events, the oldest first.

    ``archives`` contain events of it that are no longer in the database.
    """

    job_id: str
    record: dict[str, Any] | None
    events: list[Event]
    archives: list[Archive]


def history_of(snapshot: sqlite3.Connection, job_id: str) -> JobHistory:
    """The history of the job with this id, or this beginning or end of an id.

    Raises JobNotFound when no job matches, or several do.
    """
    job_id = _resolve_part(snapshot, job_id)
    events = _events(snapshot, job_id)
    record = _record(snapshot, job_id)
    archives = _archives(snapshot, job_id)
    if not events and record is None and not archives:
        raise JobNotFound(
            f"Job {job_id} not found: the audit log has no event of it. Is this the database of its"
            " server? --data-dir names another"
        )
    return JobHistory(job_id, record, events, archives)


def _resolve_part(snapshot: sqlite3.Connection, part: str) -> str:
    part = part.strip().lower()
    archived = FROM_ARCHIVED_JOBS if archives_of(snapshot) else ""
    rows = snapshot.execute(
        f"SELECT job_id FROM job_events WHERE {HAS_PART}"  # noqa: S608
        f"{archived or ' GROUP BY job_id'} ORDER BY job_id LIMIT :most",
        {"part": part, "end": part + BEHIND_ALL, "most": MAX_NAMED + 1},
    )
    found = [row["job_id"] for row in rows] if part else []
    if part in found or not found:
        return part
    if len(found) > 1:
        named = ", ".join(found[:MAX_NAMED]) + (", ..." if len(found) > MAX_NAMED else "")
        raise JobNotFound(f"The ids of several jobs begin or end with {part!r}: {named}")
    return str(found[0])


def _events(snapshot: sqlite3.Connection, job_id: str) -> list[Event]:
    rows = snapshot.execute(
        f"SELECT {COLUMNS} FROM job_events WHERE job_id = :job_id ORDER BY event_id",  # noqa: S608
        {"job_id": job_id},
    )
    return [event_of(row) for row in rows]


def _archives(snapshot: sqlite3.Connection, job_id: str) -> list[Archive]:
    known = archives_of(snapshot)
    if not known:
        return []
    rows = snapshot.execute("SELECT last_event FROM archived_jobs WHERE job_id = ?", (job_id,))
    noted = {row["last_event"] for row in rows}
    return [archive for archive in known if archive.last_event in noted]


def _record(snapshot: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
    row = snapshot.execute(
        f"SELECT {', '.join(RECORD)} FROM jobs WHERE job_id = :job_id",  # noqa: S608
        {"job_id": job_id},
    ).fetchone()
    if row is None:
        return None
    return {name: orjson.loads(row[name]) if name in OF_JSON else row[name] for name in RECORD}
