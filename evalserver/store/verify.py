"""Is the audit log whole, and are the jobs what it says? Names the first row where not.

Events are read one after another and none is kept: memory grows with the jobs that the database
keeps, not with the length of the log.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.store.events import GENESIS_HASH, event_hash
from evalserver.store.replay import Replay, Replayed


@dataclass(frozen=True)
class Problem:
    """The first row that is wrong, and what is wrong with it, in words."""

    message: str
    event_id: int | None = None
    job_id: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What was found: how far the log is sound, and the first problem, if there is one.

    ``events`` sound events were read, ``last_hash`` is the hash of the last of them.
    """

    events: int
    jobs: int
    last_hash: str
    problem: Problem | None


class Chain:
    """Follows events by number and hash: each must continue the one before."""

    def __init__(self) -> None:
        self.last_id = 0
        self.last_hash = GENESIS_HASH

    def follow(self, event: Mapping[str, Any]) -> str | None:
        """Go on to the next event. Returns why it does not continue the last one, or None."""
        if event["prev_hash"] != self.last_hash:
            return "its prev_hash is not the hash of the event before it"
        if event["hash"] != _hash(event):
            return "its hash does not match its content"
        self.last_id, self.last_hash = event["event_id"], event["hash"]
        return None


def verify_log(snapshot: sqlite3.Connection) -> Verdict:
    """Check numbers and hashes of all events, replay them, and compare the jobs with the result.

    Stops at the first problem.
    """
    chain, replay = Chain(), Replay()
    problem = _read_events(snapshot, chain, replay) or _compare_end(snapshot, chain)
    if problem is None:
        problem = _compare_jobs(snapshot, replay)
    kept = snapshot.execute("SELECT count(*) FROM jobs").fetchone()[0]
    return Verdict(chain.last_id, kept, chain.last_hash, problem)


def _read_events(snapshot: sqlite3.Connection, chain: Chain, replay: Replay) -> Problem | None:
    rows = snapshot.execute("SELECT * FROM job_events ORDER BY event_id")
    try:
        for event in rows:
            problem = _check_event(event, chain, replay)
            if problem is not None:
                return problem
    except sqlite3.DatabaseError as error:
        expected = chain.last_id + 1
        return Problem(f"event {expected}: it cannot be read: {error}", expected)
    return None


def _check_event(event: Mapping[str, Any], chain: Chain, replay: Replay) -> Problem | None:
    number, expected = event["event_id"], chain.last_id + 1
    if number != expected:
        return Problem(f"event {expected}: it is missing; the next one is {number}", expected)
    fault = chain.follow(event) or replay.play(event)
    if fault is None:
        return None
    job_id = event["job_id"]
    return Problem(f"event {number} ({event['event']}, job {job_id}): {fault}", number, job_id)


def _compare_end(snapshot: sqlite3.Connection, chain: Chain) -> Problem | None:
    """SQLite counts the numbers that it gave out by itself: events cut off the end are seen."""
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


def _hash(event: Mapping[str, Any]) -> str | None:
    try:
        return event_hash(event)
    except TypeError:  # a blob where evalserver only ever writes text
        return None
