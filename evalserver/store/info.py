"""Statistics of a database."""

import sqlite3
from dataclasses import dataclass

from evalserver.core.lifecycle import Status
from evalserver.store.migration_files import known_migrations


@dataclass(frozen=True)
class Info:
    """Statistics of one database. ``schema_needed`` is the version that this evalserver
    requires."""

    schema_version: int
    schema_needed: int
    jobs: dict[str, int]
    events: int
    metrics: int
    oldest_event: str | None
    newest_event: str | None
    sqlite_version: str


def describe(snapshot: sqlite3.Connection) -> Info:
    """Collect the statistics."""
    return Info(
        schema_version=snapshot.execute("PRAGMA user_version").fetchone()[0],
        schema_needed=len(known_migrations()),
        jobs=_jobs_by_status(snapshot),
        events=snapshot.execute("SELECT count(*) FROM job_events").fetchone()[0],
        metrics=snapshot.execute("SELECT count(*) FROM metrics").fetchone()[0],
        oldest_event=_time_of_event(snapshot, "min"),
        newest_event=_time_of_event(snapshot, "max"),
        sqlite_version=sqlite3.sqlite_version,
    )


def _jobs_by_status(snapshot: sqlite3.Connection) -> dict[str, int]:
    rows = snapshot.execute("SELECT status, count(*) FROM jobs GROUP BY status")
    found: dict[str, int] = dict(rows.fetchall())
    return {status.value: found.get(status, 0) for status in Status}


def _time_of_event(snapshot: sqlite3.Connection, which: str) -> str | None:
    # By number, not by time: clocks may be set back, and numbers have an index.
    row = snapshot.execute(
        f"SELECT at FROM job_events WHERE event_id = (SELECT {which}(event_id) FROM job_events)"  # noqa: S608
    ).fetchone()
    return None if row is None else str(row["at"])
