"""Archive files: the oldest part of the audit log, whose hash chain continues in the database.

An archive is a SQLite database with only the table ``job_events``: an auditor reads it with any
SQLite tool and the queries of docs/audit.md. ``archiving`` removes the events from the database.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from evalserver.core.durable_files import sync
from evalserver.runner.crash_point import crash_point
from evalserver.store.chain import Chain
from evalserver.store.drafts import draft_of, os_errors, publish
from evalserver.store.errors import ArchiveFailed
from evalserver.store.events import HASHED_COLUMNS
from evalserver.store.reading import snapshot

ALL_COLUMNS = ", ".join(("event_id", *HASHED_COLUMNS, "hash"))
"""The columns of an event, in the order in which they are compared."""

FIRST_TO_STAY = """
    SELECT min(
        coalesce((SELECT min(event_id) FROM job_events WHERE at >= :before), :behind),
        coalesce((SELECT min((SELECT min(event_id) FROM job_events
                              WHERE job_events.job_id = jobs.job_id)) FROM jobs), :behind),
        coalesce((SELECT min(event_id) FROM job_events, follower_cursors
                  WHERE event_id > follower_cursors.last_event
                    AND event IN (SELECT value FROM json_each(kinds))), :behind)
    )
"""


@dataclass(frozen=True)
class Archive:
    """A part of the audit log in a file: its events, the hash of the last, the file's SHA-256."""

    first_event: int
    last_event: int
    last_hash: str
    sha256: str
    name: str


def write_archive(database: Path, target: Path, before: str) -> Archive:
    """Write the oldest events to ``target``: those before a time, before any of an existing job,
    and before any that a follower has not handled.

    Removes nothing. Raises DatabaseRefused, and ArchiveFailed when there is nothing to archive,
    ``target`` exists, or the file cannot be written or does not verify.
    """
    with snapshot(database) as opened, os_errors(target, ArchiveFailed):
        if os.path.lexists(target):
            raise ArchiveFailed(f"{target} exists already; an archive never overwrites a file")
        _require_none_unfinished(opened)
        last_event = _last_to_go(opened, before)
        with draft_of(target) as draft:
            _write(opened, draft, last_event)
            archive = read_archive(draft, target.name)
            if archive.last_event != last_event:
                raise ArchiveFailed(
                    f"the archive ends with event {archive.last_event}, not {last_event};"
                    " nothing was archived"
                )
            publish(draft, target, ArchiveFailed)
            crash_point("archive_written")
    return archive


def read_archive(path: Path, name: str | None = None) -> Archive:
    """Read an archive, and check every hash and number in it.

    Raises ArchiveFailed when the file cannot be read, or is not an archive of an audit log.
    """
    with os_errors(path, ArchiveFailed, "read"), open_archive(path) as file:
        rows = file.execute("SELECT * FROM job_events ORDER BY event_id")
        chain, first = Chain(), 0
        for event in rows:
            if not first:
                first = event["event_id"]
                chain = Chain(first - 1, event["prev_hash"])
            fault = chain.follow(event)
            if fault is not None:
                raise ArchiveFailed(f"{path}: event {event['event_id']}: {fault}")
        if not first:
            raise ArchiveFailed(f"{path} has no events")
        return Archive(first, chain.last_id, chain.last_hash, _sha256_of(path), name or path.name)


@contextmanager
def open_archive(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an archive for reading. Raises ArchiveFailed when it cannot be opened."""
    if not path.is_file():
        raise ArchiveFailed(f"there is no file at {path}")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as file:
            file.row_factory = sqlite3.Row
            yield file
    except sqlite3.Error as error:
        raise ArchiveFailed(f"{path} cannot be read as an archive: {error}") from error


def _require_none_unfinished(opened: sqlite3.Connection) -> None:
    row = opened.execute(
        "SELECT name, sha256 FROM audit_archives"
        " WHERE last_event >= (SELECT min(event_id) FROM job_events)"
    ).fetchone()
    if row is not None:
        raise ArchiveFailed(
            f"the removal of what is in the archive {row['name']} (SHA-256 {row['sha256']}) was"
            " interrupted; archive with that file as PATH once more to finish it"
        )


def _last_to_go(opened: sqlite3.Connection, before: str) -> int:
    first, newest = opened.execute("SELECT min(event_id), max(event_id) FROM job_events").fetchone()
    if first is None:
        raise ArchiveFailed("nothing to archive: the log has no event")
    values = {"before": before, "behind": newest + 1}
    last = int(opened.execute(FIRST_TO_STAY, values).fetchone()[0]) - 1
    if last < first:
        raise ArchiveFailed(_nothing(opened, first, before))
    return last


def _nothing(opened: sqlite3.Connection, first: int, before: str) -> str:
    row = opened.execute("SELECT at, job_id FROM job_events WHERE event_id = ?", (first,))
    at, job_id = row.fetchone()
    if at >= before:
        return f"nothing to archive: the log has no event from before {before}"
    live = opened.execute("SELECT 1 FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if live is None:
        return (
            "nothing to archive: the server has not yet handled the oldest event, for webhooks or"
            " gates of series; start it, and archive again in a moment"
        )
    return (
        f"nothing to archive: the oldest event is of job {job_id}, which is still there, and events"
        " of such jobs stay, with all that are behind them; prune it first"
    )


def _write(opened: sqlite3.Connection, draft: Path, last_event: int) -> None:
    schema = "SELECT sql FROM sqlite_schema WHERE name IN ('job_events', 'job_events_job')"
    with closing(sqlite3.connect(draft, isolation_level=None)) as file:
        file.execute("BEGIN")
        for (sql,) in opened.execute(f"{schema} ORDER BY type DESC"):
            file.execute(sql)
        rows = opened.execute(
            f"SELECT {ALL_COLUMNS} FROM job_events WHERE event_id <= ? ORDER BY event_id",  # noqa: S608
            (last_event,),
        )
        places = ", ".join("?" for _ in rows.description)
        file.executemany(
            f"INSERT INTO job_events ({ALL_COLUMNS}) VALUES ({places})",  # noqa: S608
            map(tuple, rows),
        )
        file.execute("COMMIT")
    sync(draft)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
