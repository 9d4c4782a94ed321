"""The metrics table: the numbers of completed jobs."""

from evalserver.core.job import Metric
from evalserver.store.readers import Readers


async def of_job(readers: Readers, job_id: str) -> list[Metric]:
    """The job's numbers, by task, metric and filter; none unless it is completed."""
    rows = await readers.fetch(
        """
        SELECT task, metric, filter, value, stderr, n, higher_is_better
        FROM metrics
        WHERE job_id = :job_id
        ORDER BY task, metric, filter
        """,
        {"job_id": job_id},
    )
    return [_metric(*row) for row in rows]


def _metric(
    task: str,
    metric: str,
    kind: str,
    value: float,
    stderr: float | None,
    n: int | None,
    better: int | None,
) -> Metric:
    return Metric(task, metric, kind, value, stderr, n, None if better is None else bool(better))
