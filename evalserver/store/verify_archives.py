"""Verifies that the archives of the audit log and the database form one continuous log."""

import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

import orjson

from evalserver.store.archive_file import Archive, open_archive, read_archive
from evalserver.store.chain import Chain
from evalserver.store.errors import ArchiveFailed
from evalserver.store.event_reader import Problem, read_events
from evalserver.store.replay import Replay

ARCHIVES_SINCE = 8
"""The schema version that brought archives."""


@dataclass(frozen=True)
class Part:
    """The location of a part of the log, and whether it was read; a file has a SHA-256."""

    place: str
    first_event: int
    last_event: int
    was_read: bool
    sha256: str = ""


def start_of(snapshot: sqlite3.Connection) -> tuple[Chain, Replay]:
    """The point in the chain at which the events in the database begin."""
    records = archives_of(snapshot)
    first = snapshot.execute(
        "SELECT event_id, prev_hash FROM job_events ORDER BY event_id LIMIT 1"
    ).fetchone()
    if not records or first is None or first["event_id"] > records[-1].last_event + 1:
        return Chain(), Replay()
    # Part of the newest archive may still be in the database, if its removal was interrupted.
    return Chain(first["event_id"] - 1, first["prev_hash"]), Replay(_is_archived(snapshot))


def archives_of(snapshot: sqlite3.Connection) -> list[Archive]:
    """The archives recorded in the database, the oldest first."""
    return [_archive_of(row) for row in _records(snapshot)]


def compare_records(snapshot: sqlite3.Connection) -> Problem | None:
    """Compare the table of archives with the events in the database."""
    records, last = archives_of(snapshot), 0
    for record in records:
        if record.first_event != last + 1:
            return Problem(f"audit_archives: no archive has event {last + 1}", last + 1)
        last = record.last_event
    if records and records[-1].last_hash != _hash_of(snapshot, last):
        return Problem(
            f"audit_archives: the archive {records[-1].name} does not end with the hash of event"
            f" {last}",
            last,
        )
    return _compare_events(snapshot, snapshot, range(first_event_id(snapshot), sys.maxsize))


def identify(files: Sequence[Path]) -> dict[str, Path]:
    """The archives by their SHA-256. Raises ArchiveFailed when a file is no sound archive."""
    return {read_archive(path).sha256: path for path in files}


def read_files(snapshot: sqlite3.Connection, files: Mapping[str, Path]) -> Problem | None:
    """Read the log from its first event, through all files, to the end of the newest one."""
    chain, replay = Chain(), Replay()
    records = archives_of(snapshot)
    try:
        for record in records:
            path = files.get(record.sha256)
            if path is None:
                return Problem(
                    f"event {record.first_event}: it is in the archive {record.name}, SHA-256"
                    f" {record.sha256}, and none of the given files is that",
                    record.first_event,
                )
            problem = _read_file(snapshot, record, path, chain, replay)
            if problem is not None:
                return Problem(f"{path}: {problem.message}", problem.event_id, problem.job_id)
    except ArchiveFailed as error:
        return Problem(str(error))
    recorded = {record.sha256 for record in records}
    for sha256, path in files.items():
        if sha256 not in recorded:
            return Problem(f"{path} is no archive of this audit log")
    # The rest continues from the same state, which the database alone cannot show.
    return read_events(snapshot, chain, replay)


def archive_parts(snapshot: sqlite3.Connection, files: Mapping[str, Path]) -> tuple[Part, ...]:
    """Where the log is stored; empty when all of it is in the database."""
    records = archives_of(snapshot)
    if not records:
        return ()
    parts = [
        Part(
            str(files.get(record.sha256, record.name)),
            record.first_event,
            record.last_event,
            record.sha256 in files,
            record.sha256,
        )
        for record in records
    ]
    newest = snapshot.execute("SELECT max(event_id) FROM job_events").fetchone()[0]
    return (*parts, Part("the database", first_event_id(snapshot), newest, True))


def _read_file(
    snapshot: sqlite3.Connection, record: Archive, path: Path, chain: Chain, replay: Replay
) -> Problem | None:
    span = range(record.first_event, record.last_event + 1)
    with open_archive(path) as file:
        problem = read_events(file, chain, replay)
        if problem is not None:
            return problem
        if (chain.last_id, chain.last_hash) != (record.last_event, record.last_hash):
            return Problem(f"it ends with event {chain.last_id}, not {record.last_event}")
        return _compare_events(snapshot, file, span) or _compare_jobs(snapshot, file, record)


def _compare_events(
    snapshot: sqlite3.Connection, events: sqlite3.Connection, span: range
) -> Problem | None:
    """Compare the archive events in this span with the table of archives."""
    noted = {
        row["event_id"]: asdict(_archive_of(row))
        for row in _records(snapshot)
        if row["event_id"] in span
    }
    found = {
        row["event_id"]: orjson.loads(row["detail"])
        for row in events.execute(
            "SELECT event_id, detail FROM job_events WHERE job_id = '' AND event = 'archived'"
        )
    }
    for number in sorted({*noted, *found}):
        if noted.get(number) != found.get(number):
            return Problem(
                f"event {number}: it does not say of an archive what audit_archives says", number
            )
    return None


def _compare_jobs(
    snapshot: sqlite3.Connection, file: sqlite3.Connection, record: Archive
) -> Problem | None:
    """Compare the jobs recorded as archived with those in the file."""
    noted = snapshot.execute(
        "SELECT job_id FROM archived_jobs WHERE last_event = ? ORDER BY job_id",
        (record.last_event,),
    )
    there = file.execute(
        "SELECT DISTINCT job_id FROM job_events WHERE event_id <= ? AND event <> 'archived'"
        " ORDER BY job_id",
        (first_event_id(snapshot) - 1,),  # the rest of the file has not been removed yet
    )
    for said, found in zip_longest(noted, there):
        if said is None or found is None or said["job_id"] != found["job_id"]:
            job_id = min(row["job_id"] for row in (said, found) if row is not None)
            return Problem(f"job {job_id}: archived_jobs and the file differ", None, job_id)
    return None


def _records(snapshot: sqlite3.Connection) -> list[sqlite3.Row]:
    if snapshot.execute("PRAGMA user_version").fetchone()[0] < ARCHIVES_SINCE:
        return []
    return snapshot.execute("SELECT * FROM audit_archives ORDER BY last_event").fetchall()


def _archive_of(row: sqlite3.Row) -> Archive:
    return Archive(**{name: row[name] for name in row.keys() if name != "event_id"})  # noqa: SIM118


def first_event_id(snapshot: sqlite3.Connection) -> int:
    """The oldest event that is in the database; 1 when there is none."""
    row = snapshot.execute("SELECT coalesce(min(event_id), 1) FROM job_events").fetchone()
    return int(row[0])


def _hash_of(snapshot: sqlite3.Connection, event_id: int) -> str | None:
    row = snapshot.execute(
        "SELECT hash FROM job_events WHERE event_id = :id"
        " UNION ALL SELECT prev_hash FROM job_events WHERE event_id = :id + 1 LIMIT 1",
        {"id": event_id},
    ).fetchone()
    return None if row is None else str(row[0])


def _is_archived(snapshot: sqlite3.Connection) -> Callable[[str], bool]:
    def is_archived(job_id: str) -> bool:
        sql = "SELECT 1 FROM archived_jobs WHERE job_id = ? LIMIT 1"
        return snapshot.execute(sql, (job_id,)).fetchone() is not None

    return is_archived
