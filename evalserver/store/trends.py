"""Metrics over the course of training: of completed jobs with a series and a step, also pruned."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalserver.core.series import STEP
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers

MAX_SERIES = 500
MAX_POINTS = 20_000

EVALUATIONS = """
    WITH evaluations AS (
        SELECT wanted.value AS series, jobs.seq, jobs.job_id, jobs.completed_at, 0 AS pruned,
               coalesce(CAST(jobs.step AS TEXT),
                        (SELECT text FROM job_labels
                         WHERE job_labels.seq = jobs.seq AND job_labels.name = :step)) AS step
        FROM json_each(:names) AS wanted
        CROSS JOIN jobs INDEXED BY jobs_by_series
             ON jobs.series = wanted.value AND jobs.status = 'completed'
        UNION ALL
        SELECT wanted.value, pruned_jobs.seq, pruned_jobs.job_id, pruned_jobs.completed_at, 1,
               pruned_jobs.step
        FROM json_each(:names) AS wanted
        CROSS JOIN pruned_jobs ON pruned_jobs.series = wanted.value
                              AND pruned_jobs.status = 'completed'
    )
"""
"""The completed jobs of the series ``:names``, kept or pruned."""


@dataclass(frozen=True)
class Series:
    """A series, and its number of completed jobs."""

    name: str
    jobs: int


@dataclass(frozen=True)
class Point:
    """A metric of a job of a series.

    ``step`` is a number as text, or the text of a label that is none; None without either.
    """

    series: str
    step: str | None
    job_id: str
    completed_at: str
    value: float
    stderr: float | None
    n: int | None
    pruned: bool = False


class SeriesQueries:
    """Reads the series of evaluations of a training run."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def all(self) -> list[Series]:
        """All series of jobs, by name."""
        rows = await self._readers.fetch(
            """
            SELECT name, sum(jobs) AS jobs FROM (
                SELECT series AS name, sum(status = 'completed') AS jobs
                FROM jobs INDEXED BY jobs_by_series
                WHERE series IS NOT NULL GROUP BY series
                UNION ALL
                SELECT series, sum(status = 'completed') FROM pruned_jobs
                WHERE series IS NOT NULL GROUP BY series
            )
            GROUP BY name ORDER BY name LIMIT :most
            """,
            {"most": MAX_SERIES},
        )
        return [Series(row["name"], row["jobs"]) for row in rows]

    async def metrics_of(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """The task, metric and filter of every metric of the jobs of these series; those that most
        of the series have come first."""
        rows = await self._readers.fetch(
            f"""
            {EVALUATIONS}
            SELECT metrics.task, metrics.metric, metrics.filter
            FROM evaluations CROSS JOIN metrics ON metrics.job_id = evaluations.job_id
            GROUP BY 1, 2, 3
            ORDER BY count(DISTINCT evaluations.series) DESC, count(*) DESC, 1, 2, 3
            """,  # noqa: S608 - a text of this module
            {"names": json_text(list(names)), "step": STEP},
        )
        return [tuple(row) for row in rows]

    async def points(self, names: Sequence[str], task: str, metric: str, kind: str) -> list[Point]:
        """One metric of all jobs of these series, in the order of submission."""
        rows = await self._readers.fetch(
            f"""
            {EVALUATIONS}
            SELECT evaluations.series, evaluations.step, evaluations.job_id,
                   evaluations.completed_at, metrics.value, metrics.stderr, metrics.n,
                   evaluations.pruned
            FROM evaluations
            CROSS JOIN metrics ON metrics.job_id = evaluations.job_id AND metrics.task = :task
                              AND metrics.metric = :metric AND metrics.filter = :filter
            ORDER BY evaluations.seq
            LIMIT :most
            """,  # noqa: S608 - a text of this module
            {
                "names": json_text(list(names)),
                "step": STEP,
                "task": task,
                "metric": metric,
                "filter": kind,
                "most": MAX_POINTS,
            },
        )
        return [Point(**{**dict(row), "pruned": bool(row["pruned"])}) for row in rows]
