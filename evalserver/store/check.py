"""Checks that a database is sound: pages, references, schema, counts, search tables, audit log."""

import sqlite3
from contextlib import closing

from evalserver.store.event_reader import Problem
from evalserver.store.migrate import run_statements
from evalserver.store.migration_files import is_repairable, known_migrations
from evalserver.store.verify import Verdict, verify_log

SCHEMA = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"

FOUND_BY_SINCE = 2
"""The schema version that brought the tables below."""

FOUND_BY = {
    "job_tasks": (
        "SELECT seq, task FROM job_tasks",
        "SELECT seq, value FROM jobs, json_each(jobs.tasks)",
    ),
    "job_labels": (
        "SELECT seq, name, text FROM job_labels",
        "SELECT seq, key, value FROM jobs, json_each(jobs.labels)",
    ),
}
"""Tables by which jobs are found: their content, and the expected content according to jobs."""

KEPT_SINCE = 9
"""The schema version that keeps the metrics of pruned jobs, without a foreign key."""

METRICS_WITHOUT_JOB = """
    SELECT job_id FROM metrics
    WHERE job_id NOT IN (SELECT job_id FROM jobs)
        AND job_id NOT IN (SELECT job_id FROM pruned_jobs)
    LIMIT 1
"""

USAGE_SINCE = 10
"""The schema version that records what attempts used."""

USAGE_WITHOUT_JOB = """
    SELECT job_id FROM gpu_usage
    WHERE job_id NOT IN (SELECT job_id FROM jobs)
        AND job_id NOT IN (SELECT job_id FROM pruned_jobs)
    LIMIT 1
"""

NOT_IN_ITS_SPAN = """
    SELECT seq FROM jobs LEFT JOIN job_spans ON span = seq / 512
    WHERE span IS NULL OR created_at NOT BETWEEN earliest AND latest
    LIMIT 1
"""


def check_database(snapshot: sqlite3.Connection) -> Verdict:
    """Check everything; the log last, because it is readable only if the rest is sound.

    Stops at the first problem; if that is outside the log, the verdict names no event.
    """
    for find_problem in (_integrity, _references, _schema, _counts, _found_by, _metrics, _usage):
        problem = find_problem(snapshot)
        if problem is not None:
            return Verdict(0, 0, "", problem)
    return verify_log(snapshot)


def _integrity(snapshot: sqlite3.Connection) -> Problem | None:
    try:
        said = str(snapshot.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        said = str(error)
    return None if said == "ok" else Problem(f"the file is damaged: {said}")


def _references(snapshot: sqlite3.Connection) -> Problem | None:
    row = snapshot.execute("PRAGMA foreign_key_check").fetchone()
    if row is None:
        return None
    table, rowid, parent = row[0], row[1], row[2]
    which = "a row" if rowid is None else f"row {rowid}"
    return Problem(f"{which} of {table} belongs to a row of {parent} that is not there")


def _metrics(snapshot: sqlite3.Connection) -> Problem | None:
    if snapshot.execute("PRAGMA user_version").fetchone()[0] < KEPT_SINCE:
        return None
    row = snapshot.execute(METRICS_WITHOUT_JOB).fetchone()
    if row is not None:
        return Problem(f"metrics has rows of job {row[0]}, which is not there")
    row = snapshot.execute(
        "SELECT job_id FROM pruned_jobs JOIN jobs USING (job_id) LIMIT 1"
    ).fetchone()
    return None if row is None else Problem(f"job {row[0]} is in both jobs and pruned_jobs")


def _usage(snapshot: sqlite3.Connection) -> Problem | None:
    if snapshot.execute("PRAGMA user_version").fetchone()[0] < USAGE_SINCE:
        return None
    row = snapshot.execute(USAGE_WITHOUT_JOB).fetchone()
    return (
        None if row is None else Problem(f"gpu_usage has rows of job {row[0]}, which is not there")
    )


def _schema(snapshot: sqlite3.Connection) -> Problem | None:
    """Check that the schema is unchanged: editing the log requires dropping its triggers first."""
    version = snapshot.execute("PRAGMA user_version").fetchone()[0]
    applied = dict(snapshot.execute("SELECT version, checksum FROM schema_migrations").fetchall())
    for step in known_migrations()[:version]:
        if is_repairable(step, applied[step.version]):
            return Problem(
                f"it was made by an earlier text of {step.name}; 'evalserver db migrate', or the"
                " start of a server, brings it to the one of today"
            )
    there = {(row["type"], row["name"]): row["sql"] for row in snapshot.execute(SCHEMA)}
    for kind, name, sql in _schema_as_made(version):
        if (kind, name) not in there:
            return Problem(f"the {kind} {name} was taken away")
        if there[kind, name] != sql:
            return Problem(f"the {kind} {name} is not as evalserver made it")
    return None


def _counts(snapshot: sqlite3.Connection) -> Problem | None:
    counts = snapshot.execute(
        "SELECT status, jobs, (SELECT count(*) FROM jobs WHERE jobs.status = job_counts.status)"
        " FROM job_counts"
    )
    for status, said, there in counts:
        if said != there:
            return Problem(f"job_counts says {said} {status}, and jobs has {there}")
    return None


def _found_by(snapshot: sqlite3.Connection) -> Problem | None:
    """Check the search tables: a job that is not in them would be missing from lists."""
    if snapshot.execute("PRAGMA user_version").fetchone()[0] < FOUND_BY_SINCE:
        return None
    for table, (there, wanted) in FOUND_BY.items():
        for problem, sql in (
            ("has what jobs does not have", f"{there} EXCEPT {wanted}"),
            ("lacks what jobs has", f"{wanted} EXCEPT {there}"),
        ):
            row = snapshot.execute(f"{sql} LIMIT 1").fetchone()
            if row is not None:
                return Problem(f"{table} {problem}, for the job of seq {row[0]}")
    row = snapshot.execute(NOT_IN_ITS_SPAN).fetchone()
    if row is None:
        return None
    return Problem(f"job_spans does not have the time of the job of seq {row[0]}")


def _schema_as_made(version: int) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        for step in known_migrations()[:version]:
            run_statements(model, step)
        return model.execute(SCHEMA).fetchall()
