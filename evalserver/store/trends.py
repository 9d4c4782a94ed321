"""Metrics over the course of training: those of completed jobs with a series and a step."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers

SERIES, STEP = "series", "step"
"""The labels by which a training run's evaluations are found and ordered."""

MAX_SERIES = 500
MAX_POINTS = 20_000


@dataclass(frozen=True)
class Series:
    """A series, and its number of jobs."""

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


class SeriesQueries:
    """Reads the series of evaluations of a training run."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def all(self) -> list[Series]:
        """All series of jobs, by name."""
        rows = await self._readers.fetch(
            "SELECT text AS name, count(*) AS jobs FROM job_labels WHERE name = :series"
            " GROUP BY text ORDER BY text LIMIT :most",
            {"series": SERIES, "most": MAX_SERIES},
        )
        return [Series(row["name"], row["jobs"]) for row in rows]

    async def metrics_of(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """The task, metric and filter of every metric of the jobs of these series."""
        rows = await self._readers.fetch(
            """
            SELECT DISTINCT metrics.task, metrics.metric, metrics.filter
            FROM json_each(:names) AS wanted
            CROSS JOIN job_labels ON job_labels.name = :series AND job_labels.text = wanted.value
            CROSS JOIN jobs ON jobs.seq = job_labels.seq
            CROSS JOIN metrics ON metrics.job_id = jobs.job_id
            ORDER BY 1, 2, 3
            """,
            {"names": json_text(list(names)), "series": SERIES},
        )
        return [tuple(row) for row in rows]

    async def points(self, names: Sequence[str], task: str, metric: str, kind: str) -> list[Point]:
        """One metric of all jobs of these series, in the order of submission."""
        rows = await self._readers.fetch(
            """
            SELECT wanted.value AS series,
                   (SELECT text FROM job_labels AS steps
                    WHERE steps.seq = jobs.seq AND steps.name = :step) AS step,
                   jobs.job_id, jobs.completed_at, metrics.value, metrics.stderr, metrics.n
            FROM json_each(:names) AS wanted
            CROSS JOIN job_labels ON job_labels.name = :series AND job_labels.text = wanted.value
            CROSS JOIN jobs ON jobs.seq = job_labels.seq
            CROSS JOIN metrics ON metrics.job_id = jobs.job_id AND metrics.task = :task
                              AND metrics.metric = :metric AND metrics.filter = :filter
            ORDER BY jobs.seq
            LIMIT :most
            """,
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
        return [Point(**dict(row)) for row in rows]
