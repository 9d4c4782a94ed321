"""Removing finished jobs: their records are deleted, and the audit log keeps their events."""

from collections.abc import Mapping

from evalserver.core.lifecycle import EventKind
from evalserver.store.events import Change, transition
from evalserver.store.jobs import SERVER
from evalserver.store.transaction import Transaction

ALL = -1
"""No limit, as SQLite's LIMIT expresses it."""


def prune(tx: Transaction, keep: int, at: str, actor: str = SERVER, most: int = ALL) -> list[str]:
    """Remove the oldest finished jobs beyond the newest ``keep``, or ``most`` of these.

    Returns their ids, the oldest first.
    """
    finished = tx.execute(
        "SELECT sum(jobs) AS n FROM job_counts WHERE status NOT IN ('queued', 'running')"
    )
    excess = finished[0]["n"] - keep
    if excess <= 0:
        return []
    few = excess if most == ALL else min(excess, most)
    return _remove(tx, "TRUE", {"most": few}, at, actor)


def prune_older(tx: Transaction, before: str, at: str, actor: str, most: int = ALL) -> list[str]:
    """Remove the jobs that finished before a time, or ``most`` of these.

    Returns their ids, the oldest first.
    """
    values = {"before": before, "most": most}
    return _remove(tx, "completed_at < :before", values, at, actor)


def prune_one(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Remove one job. Raises IllegalTransition when it has not finished or does not exist."""
    transition(tx, Change(EventKind.PRUNED, job_id, at, actor))


def _remove(
    tx: Transaction, test: str, values: Mapping[str, object], at: str, actor: str
) -> list[str]:
    rows = tx.execute(
        "SELECT job_id FROM jobs INDEXED BY jobs_finished"  # noqa: S608 - texts of this module
        f" WHERE finish_number IS NOT NULL AND {test} ORDER BY finish_number LIMIT :most",
        values,
    )
    oldest_first = [str(row["job_id"]) for row in rows]
    for job_id in oldest_first:
        prune_one(tx, job_id, at, actor)
    return oldest_first
