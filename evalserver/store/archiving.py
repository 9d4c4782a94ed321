"""Removing archived events from the audit log, in bounded batches.

First the archive is recorded, in an event of the log and in ``audit_archives``; from then on its
events may be removed, the oldest first. Each batch is one unit of work that compares the file with
the events it removes, so that every event is in the file or in the database at any time.
"""

import sqlite3
from dataclasses import asdict
from pathlib import Path

from evalserver.store.archive_file import ALL_COLUMNS, Archive, open_archive
from evalserver.store.errors import ArchiveFailed
from evalserver.store.events import append_archived
from evalserver.store.transaction import Row, Transaction

EVENTS_AT_ONCE = 500
"""The events that one unit of work removes: other units wait that long."""

LIVE_JOB_IN_IT = """
    SELECT job_id FROM jobs
    WHERE EXISTS (SELECT 1 FROM job_events
                  WHERE job_events.job_id = jobs.job_id AND event_id <= :last_event)
    LIMIT 1
"""

UNHANDLED_IN_IT = """
    SELECT follower FROM follower_cursors
    WHERE EXISTS (SELECT 1 FROM job_events
                  WHERE event_id > follower_cursors.last_event AND event_id <= :last_event
                    AND event IN (SELECT value FROM json_each(kinds)))
    LIMIT 1
"""


def record_archive(tx: Transaction, archive: Archive, at: str, actor: str) -> None:
    """Record that these events are in this file, unless that is already recorded.

    Raises ArchiveFailed, having changed nothing, when the file is not the oldest part of the log,
    or contains an event of an existing job, or one that a follower has not handled.
    """
    values = asdict(archive)
    if tx.execute("SELECT 1 FROM audit_archives WHERE sha256 = :sha256", values):
        return
    rows = tx.execute(LIVE_JOB_IN_IT, values)
    if rows:
        raise ArchiveFailed(f"{archive.name} has events of job {rows[0]['job_id']}, which is there")
    rows = tx.execute(UNHANDLED_IN_IT, values)
    if rows:
        raise ArchiveFailed(
            f"{archive.name} has events that {rows[0]['follower']} have not handled yet; archive"
            " again in a moment"
        )
    event_id = append_archived(tx, at, actor, values)
    try:
        tx.execute(
            "INSERT INTO audit_archives"
            " (last_event, first_event, last_hash, sha256, name, event_id) VALUES"
            " (:last_event, :first_event, :last_hash, :sha256, :name, :event_id)",
            {**values, "event_id": event_id},
        )
    except sqlite3.IntegrityError as error:
        raise ArchiveFailed(
            f"{archive.name} has events {archive.first_event} to {archive.last_event}, which are"
            " not the oldest that this database has"
        ) from error


def remove_piece(tx: Transaction, path: Path, archive: Archive) -> int:
    """Remove the oldest events that are in a recorded archive; returns how many were removed.

    Raises ArchiveFailed, having changed nothing, when the file at ``path`` does not contain them.
    """
    rows = tx.execute(
        f"SELECT {ALL_COLUMNS} FROM job_events WHERE event_id <= :last_event"  # noqa: S608
        " ORDER BY event_id LIMIT :most",
        {"last_event": archive.last_event, "most": EVENTS_AT_ONCE},
    )
    if not rows:
        return 0
    _require_in_file(rows, path)
    values = {"last_event": archive.last_event, "end": rows[-1]["event_id"]}
    tx.execute(
        "INSERT INTO archived_jobs (job_id, last_event)"
        " SELECT DISTINCT job_id, :last_event FROM job_events"
        " WHERE event_id <= :end AND event <> 'archived' AND NOT EXISTS ("
        "SELECT 1 FROM archived_jobs AS noted"
        " WHERE noted.job_id = job_events.job_id AND noted.last_event = :last_event)",
        values,
    )
    tx.execute("DELETE FROM job_events WHERE event_id <= :end", values)
    return len(rows)


def _require_in_file(rows: list[Row], path: Path) -> None:
    with open_archive(path) as file:
        kept = file.execute(
            f"SELECT {ALL_COLUMNS} FROM job_events"  # noqa: S608
            " WHERE event_id BETWEEN ? AND ? ORDER BY event_id",
            (rows[0]["event_id"], rows[-1]["event_id"]),
        ).fetchall()
    if list(map(tuple, kept)) != list(map(tuple, rows)):
        raise ArchiveFailed(
            f"{path} does not have events {rows[0]['event_id']} to {rows[-1]['event_id']} as they"
            " are in the database; they were not removed"
        )
