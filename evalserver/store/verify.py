"""Verifies that the audit log is intact and that the jobs match it. Names the first bad row.

Events are read one by one and not kept: memory use grows with the number of jobs in the database,
not with the length of the log.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.store import verify_archives
from evalserver.store.chain import Chain
from evalserver.store.errors import ArchiveFailed
from evalserver.store.event_reader import Problem, read_events
from evalserver.store.replay import Replay, Replayed
from evalserver.store.verify_archives import Part


@dataclass(frozen=True)
class Verdict:
    """The result: how far the log is sound, and the first problem, if there is one.

    ``events`` is the number of the last sound event, ``last_hash`` its hash. ``parts`` says where
    the log is stored, if a part of it was archived.
    """

    events: int
    jobs: int
    last_hash: str
    problem: Problem | None
    parts: tuple[Part, ...] = ()


def verify_log(snapshot: sqlite3.Connection, files: Sequence[Path] = ()) -> Verdict:
    """Check numbers and hashes of all events, replay them, and compare the jobs with the result.

    With the files of all archives, it reads the log from its first event; without any, from the
    first event in the database. Stops at the first problem.
    """
    chain, replay = verify_archives.start_of(snapshot)
    problem = read_events(snapshot, chain, replay) or _compare_end(snapshot, chain)
    problem = problem or _compare_jobs(snapshot, replay)
    kept = snapshot.execute("SELECT count(*) FROM jobs").fetchone()[0]
    problem = problem or verify_archives.compare_records(snapshot)
    archives: Mapping[str, Path] = {}
    if problem is None and files:
        try:
            archives = verify_archives.identify(files)
        except ArchiveFailed as error:
            problem = Problem(str(error))
        else:
            problem = verify_archives.read_files(snapshot, archives)
    parts = verify_archives.archive_parts(snapshot, archives) if problem is None else ()
    return Verdict(chain.last_id, kept, chain.last_hash, problem, parts)


def _compare_end(snapshot: sqlite3.Connection, chain: Chain) -> Problem | None:
    """Detect events removed from the end: SQLite remembers the last number that it assigned."""
    row = snapshot.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job_events'").fetchone()
    written = 0 if row is None else row[0]
    if written == chain.last_id:
        return None
    expected = chain.last_id + 1
    if written > chain.last_id:
        return Problem(
            f"event {expected}: it is missing; {written} events were written,"
            f" and {chain.last_id} are there",
            expected,
        )
    return Problem(
        f"event {chain.last_id}: SQLite's own count says that only {written} events were written;"
        " it was edited",
        chain.last_id,
    )


def _compare_jobs(snapshot: sqlite3.Connection, replay: Replay) -> Problem | None:
    for row in snapshot.execute("SELECT job_id, status, attempt FROM jobs ORDER BY seq"):
        job_id, job = row["job_id"], replay.take(row["job_id"])
        fault = _without_event(snapshot, job_id) if job is None else _wrong_row(row, job)
        if fault is not None:
            last = None if job is None else job.event_id
            return Problem(f"job {job_id}: {fault}", last, job_id)
    missing = min(replay.left(), key=lambda item: item[1].event_id, default=None)
    if missing is None:
        return None
    job_id, job = missing
    return Problem(
        f"job {job_id}: it is missing in jobs; event {job.event_id} left it {job.status}",
        job.event_id,
        job_id,
    )


def _without_event(snapshot: sqlite3.Connection, job_id: str) -> str:
    sql = "SELECT max(event_id) FROM job_events WHERE job_id = ?"
    last = snapshot.execute(sql, (job_id,)).fetchone()[0]
    if last is None:
        return "it is in jobs, and no event tells of it"
    return f"it is in jobs, and event {last} removed it"


def _wrong_row(row: Mapping[str, Any], job: Replayed) -> str | None:
    for column, said, replayed in (
        ("status", row["status"], job.status),
        ("attempt", row["attempt"], job.attempt),
    ):
        if said != replayed:
            return f"jobs has {column} {said}, where event {job.event_id} left it {replayed}"
    return None
