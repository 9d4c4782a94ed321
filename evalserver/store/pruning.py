"""Removing finished jobs: their records are deleted, and the audit log keeps their events."""

from collections.abc import Mapping

from evalserver.core.lifecycle import SERVER, EventKind
from evalserver.store.events import Change, transition
from evalserver.store.pruned_jobs import erase, keep_record
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


def prune_to(tx: Transaction, keep: int, max_bytes: int | None, at: str) -> list[str]:
    """Remove the oldest finished jobs beyond the newest ``keep``, and what does not fit into
    ``max_bytes``. Returns their ids."""
    pruned = prune(tx, keep, at)
    return pruned if max_bytes is None else [*pruned, *prune_to_fit(tx, max_bytes, at)]


def prune_older(tx: Transaction, before: str, at: str, actor: str, most: int = ALL) -> list[str]:
    """Remove the jobs that finished before a time, or ``most`` of these.

    Returns their ids, the oldest first.
    """
    values = {"before": before, "most": most}
    return _remove(tx, "completed_at < :before", values, at, actor)


def prune_one(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Remove one job. Raises IllegalTransition when it has not finished or does not exist."""
    keep_record(tx, job_id, at)
    transition(tx, Change(EventKind.PRUNED, job_id, at, actor))


def erase_one(tx: Transaction, job_id: str, at: str, actor: str) -> bool:
    """Remove a job with everything that is kept of it; returns whether it was pruned before.

    Raises IllegalTransition when it has not finished, was erased before, or never existed.
    """
    rows = tx.execute("SELECT 1 FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    if rows:
        prune_one(tx, job_id, at, actor)
    erase(tx, job_id, at, actor)
    return not rows


def prune_to_fit(tx: Transaction, max_bytes: int, at: str, actor: str = SERVER) -> list[str]:
    """Remove the oldest finished jobs until the files of the rest have ``max_bytes`` at most.

    The newest one stays in any case. Returns their ids, the oldest first.
    """
    rows = tx.execute(
        """
        SELECT max(finish_number) AS last FROM (
            SELECT finish_number,
                   sum(coalesce(output_bytes, 0)) OVER (ORDER BY finish_number DESC) AS total
            FROM jobs INDEXED BY jobs_by_output_bytes WHERE finish_number IS NOT NULL
        )
        WHERE total > :max_bytes
            AND finish_number < (
                SELECT max(finish_number) FROM jobs WHERE finish_number IS NOT NULL
            )
        """,
        {"max_bytes": max_bytes},
    )
    last = rows[0]["last"]
    if last is None:
        return []
    return _remove(tx, "finish_number <= :last", {"last": last, "most": ALL}, at, actor)


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
