"""Accounting: one row for each attempt that has ended, and sums of these rows.

The rows stay when their job is pruned, and are removed when it is erased.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from evalserver.store.readers import Readers
from evalserver.store.transaction import Transaction

INSERT = """
    INSERT INTO gpu_usage (job_id, attempt, submitted_by, engine, model, series, gpus,
                           started_at, ended_at, seconds)
    SELECT job_id, attempt, submitted_by, engine, model,
           series,
           max(0, coalesce(CASE WHEN json_valid(gpus) THEN json_array_length(gpus) END,
                           CASE WHEN json_valid(request)
                                 AND json_type(request, '$.num_gpus') = 'integer'
                                THEN request ->> '$.num_gpus' END,
                           0)),
           started_at, :ended_at,
           coalesce(max(0.0, (julianday(:ended_at) - julianday(started_at)) * 86400), 0.0)
    FROM jobs WHERE job_id = :job_id
"""
"""An end can precede its start after the clock was set back. A damaged column must not keep a job
from ending."""


class UsageBy(StrEnum):
    """What usage is summed by."""

    JOB = "job"
    TOKEN = "token"  # noqa: S105 - of who submitted it
    SERIES = "series"
    MODEL = "model"
    MONTH = "month"


GROUPS: Mapping[UsageBy, str] = MappingProxyType(
    {
        UsageBy.JOB: "job_id",
        UsageBy.TOKEN: "submitted_by",
        UsageBy.SERIES: "series",
        UsageBy.MODEL: "model",
        UsageBy.MONTH: "substr(ended_at, 1, 7)",
    }
)
"""The SQL expression of each group."""

SUMS = "count(*) AS attempts, sum(seconds) AS seconds, sum(seconds * gpus) AS gpu_seconds"


@dataclass(frozen=True)
class Period:
    """The attempts that ended at or after ``since`` and before ``until``; None is no bound."""

    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Usage:
    """The attempts of one group: how many, how long, and times the number of their GPUs.

    ``name`` is None for jobs without a series, and for the total.
    """

    name: str | None
    attempts: int
    seconds: float
    gpu_seconds: float


@dataclass(frozen=True)
class UsageSummary:
    """The groups with the largest usage, the number of all groups, and the total of all."""

    rows: list[Usage]
    groups: int
    total: Usage


def record_attempt(tx: Transaction, job_id: str, ended_at: str) -> None:
    """Record the attempt of a job that has just stopped running."""
    tx.execute(INSERT, {"job_id": job_id, "ended_at": ended_at})


def erase_usage(tx: Transaction, job_id: str) -> None:
    """Remove the rows of a job."""
    tx.execute("DELETE FROM gpu_usage WHERE job_id = :job_id", {"job_id": job_id})


class UsageQueries:
    """Sums what attempts used."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def summary(self, by: UsageBy, period: Period, most: int) -> UsageSummary:
        """The usage of a period: the largest ``most`` groups, months the latest first."""
        where, values = _condition(period)
        order = "name DESC" if by is UsageBy.MONTH else "gpu_seconds DESC, seconds DESC, name"
        rows = await self._readers.fetch(
            f"""
            WITH grouped AS MATERIALIZED (
                SELECT {GROUPS[by]} AS name, {SUMS} FROM gpu_usage {where} GROUP BY 1
            )
            SELECT *, 0 AS is_total FROM (SELECT * FROM grouped ORDER BY {order} LIMIT :most)
            UNION ALL
            SELECT count(*), coalesce(sum(attempts), 0), coalesce(sum(seconds), 0.0),
                   coalesce(sum(gpu_seconds), 0.0), 1
            FROM grouped
            """,  # noqa: S608 - texts of this module
            {**values, "most": most},
        )
        *largest, total = [tuple(row)[:4] for row in rows]
        return UsageSummary(
            [Usage(*row) for row in largest], groups=total[0], total=Usage(None, *total[1:])
        )


def _condition(period: Period) -> tuple[str, dict[str, Any]]:
    """The WHERE clause of a period, which the index on ``ended_at`` answers."""
    bounds = {"ended_at >= :since": period.since, "ended_at < :until": period.until}
    tests = [test for test, bound in bounds.items() if bound is not None]
    values = {name: bound for name, bound in vars(period).items() if bound is not None}
    return (f"WHERE {' AND '.join(tests)}" if tests else ""), values
