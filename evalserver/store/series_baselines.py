"""The earlier steps of a job's series, which it can be compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from evalserver.core.job import Job, Metric
from evalserver.store.durations import kind_of
from evalserver.store.job_queries import metric_of
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers

EARLIER = """
    SELECT job_id, step, seq, tasks FROM jobs INDEXED BY jobs_by_series
    WHERE series = :series AND status = 'completed' AND step < :step AND engine = :engine
      AND CASE WHEN json_valid(request)
          THEN coalesce(json_extract(request, '$.limit'), -1) = :limit END
    UNION ALL
    SELECT job_id, CAST(step AS INTEGER), seq, tasks
    FROM pruned_jobs INDEXED BY pruned_jobs_by_series
    WHERE series = :series AND status = 'completed' AND engine = :engine
      AND sample_limit = :limit AND step <> '' AND step NOT GLOB '*[^0-9]*'
      AND CAST(step AS INTEGER) < :step
    ORDER BY 2 DESC, seq DESC
"""

METRICS = """
    SELECT job_id, task, metric, filter, value, stderr, n, higher_is_better
    FROM metrics WHERE job_id IN (SELECT value FROM json_each(:ids))
"""


@dataclass(frozen=True)
class EarlierStep:
    """A completed job of a lower step."""

    job_id: str
    step: int


async def earlier_steps(readers: Readers, job: Job) -> list[EarlierStep]:
    """The completed jobs of a job's series with its engine, tasks and limit and a lower step, also
    pruned ones, the highest step first; of several of a step, the last one."""
    if job.series is None or job.step is None:
        return []
    rows = await readers.fetch(
        EARLIER,
        {
            "series": job.series,
            "step": job.step,
            "engine": job.engine,
            "limit": kind_of(job.engine, job.request).limit,
        },
    )
    found: dict[int, EarlierStep] = {}
    for row in rows:
        if set(orjson.loads(row["tasks"])) == set(job.request.tasks):
            found.setdefault(row["step"], EarlierStep(row["job_id"], row["step"]))
    return list(found.values())


async def metrics_of_jobs(readers: Readers, job_ids: Sequence[str]) -> dict[str, list[Metric]]:
    """The metrics of several jobs, by job."""
    rows = await readers.fetch(METRICS, {"ids": json_text(list(job_ids))})
    found: dict[str, list[Metric]] = {job_id: [] for job_id in job_ids}
    for job_id, *values in rows:
        found[job_id].append(metric_of(*values))
    return found
