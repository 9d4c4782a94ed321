"""Metrics over the course of training: of completed jobs with a series and a step, also pruned."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers

SERIES, STEP = "series", "step"
"""The labels by which a training run's evaluations are found and ordered."""

MAX_SERIES = 500
MAX_POINTS = 20_000

EVALUATIONS = """
    WITH evaluations AS (
        SELECT wanted.value AS series, jobs.seq, jobs.job_id, jobs.completed_at, 0 AS pruned,
               (SELECT text FROM job_labels AS steps
                WHERE steps.seq = jobs.seq AND steps.name = :step) AS step
        FROM json_each(:names) AS wanted
        CROSS JOIN job_labels ON job_labels.name = :series AND job_labels.text = wanted.value
        CROSS JOIN jobs ON jobs.seq = job_labels.seq AND jobs.status = 'completed'
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
    """A metric of a job of a series; ``step`` is the label's text, None without one."""

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
                SELECT text AS name, sum(jobs.status = 'completed') AS jobs
                FROM job_labels CROSS JOIN jobs ON jobs.seq = job_labels.seq
                WHERE job_labels.name = :series GROUP BY text
                UNION ALL
                SELECT series, sum(status = 'completed') FROM pruned_jobs
                WHERE series IS NOT NULL GROUP BY series
            )
            GROUP BY name ORDER BY name LIMIT :most
            """,
            {"series": SERIES, "most": MAX_SERIES},
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
            {"names": json_text(list(names)), "series": SERIES, "step": STEP},
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
                "series": SERIES,
                "step": STEP,
                "task": task,
                "metric": metric,
                "filter": kind,
                "most": MAX_POINTS,
            },
        )
        return [Point(**{**dict(row), "pruned": bool(row["pruned"])}) for row in rows]
