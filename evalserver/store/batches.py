"""Queries about batches: the jobs that were submitted together.

A batch is what its jobs say of it; pruned jobs count, erased ones do not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from evalserver.core.job import Metric
from evalserver.core.lifecycle import Status
from evalserver.store.errors import BatchNotFound
from evalserver.store.job_queries import metric_of
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row

COUNTS = """
    SELECT status, count(*) AS jobs, 0 AS pruned, min(submitted_by) AS submitted_by,
           min(created_at) AS created_at
    FROM jobs INDEXED BY jobs_by_batch WHERE batch_id = :batch_id GROUP BY status
    UNION ALL
    SELECT status, count(*), count(*), min(submitted_by), min(created_at)
    FROM pruned_jobs INDEXED BY pruned_jobs_by_batch WHERE batch_id = :batch_id GROUP BY status
"""

NEWEST_IDS = """
    WITH RECURSIVE ids (id) AS (
        SELECT max(
            ifnull((SELECT max(batch_id) FROM jobs INDEXED BY jobs_by_batch
                    WHERE batch_id > ''), ''),
            ifnull((SELECT max(batch_id) FROM pruned_jobs INDEXED BY pruned_jobs_by_batch
                    WHERE batch_id > ''), ''))
        UNION ALL
        SELECT max(
            ifnull((SELECT max(batch_id) FROM jobs INDEXED BY jobs_by_batch
                    WHERE batch_id < ids.id), ''),
            ifnull((SELECT max(batch_id) FROM pruned_jobs INDEXED BY pruned_jobs_by_batch
                    WHERE batch_id < ids.id), ''))
        FROM ids WHERE ids.id > ''
    )
    SELECT id FROM ids WHERE id > '' AND (
        substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part
    )
    LIMIT :most
"""
"""Steps from id to id in the indexes, the newest first: ids begin with the time."""

FINISHED_AFTER = """
    SELECT seq, job_id, status, model, labels FROM jobs INDEXED BY jobs_by_batch
    WHERE batch_id = :batch_id AND seq > :after AND status NOT IN ('queued', 'running')
    UNION ALL
    SELECT seq, job_id, status, model, labels FROM pruned_jobs INDEXED BY pruned_jobs_by_batch
    WHERE batch_id = :batch_id AND seq > :after
    ORDER BY seq LIMIT :most
"""

METRICS = """
    SELECT job_id, task, metric, filter, value, stderr, n, higher_is_better, task_version,
           num_fewshot
    FROM metrics WHERE job_id IN (SELECT value FROM json_each(:ids))
    ORDER BY job_id, task, metric, filter
"""


@dataclass(frozen=True)
class JobMetrics:
    """The metrics of a finished job of a batch; ``seq`` is its place in the order of submission."""

    seq: int
    job_id: str
    status: Status
    model: str
    labels: Mapping[str, str]
    metrics: Sequence[Metric]


@dataclass(frozen=True)
class Batch:
    """A batch: how many of its jobs are in each state, and how many of them were pruned."""

    batch_id: str
    submitted_by: str
    created_at: str
    counts: Mapping[Status, int]
    pruned: int

    @property
    def is_finished(self) -> bool:
        """Whether every job has finished."""
        return not (self.counts[Status.QUEUED] or self.counts[Status.RUNNING])


class BatchQueries:
    """Reads batches."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def batch(self, batch_id: str) -> Batch:
        """The batch with this id. Raises BatchNotFound, StoreUnavailable."""
        rows = await self._readers.fetch(COUNTS, {"batch_id": batch_id})
        if not rows:
            raise BatchNotFound(f"Batch {batch_id} not found, or all of its jobs were erased")
        counts = dict.fromkeys(Status, 0)
        for row in rows:
            counts[Status(row["status"])] += row["jobs"]
        return Batch(
            batch_id,
            min(row["submitted_by"] for row in rows),
            min(row["created_at"] for row in rows),
            counts,
            sum(row["pruned"] for row in rows),
        )

    async def newest_ids(self, most: int, part: str = "") -> list[str]:
        """The ids of the newest batches; only of those whose id begins or ends with ``part``."""
        rows = await self._readers.fetch(NEWEST_IDS, {"most": most, "part": part})
        return [row["id"] for row in rows]

    async def unfinished(self, batch_id: str) -> list[str]:
        """The ids of the jobs that have not finished, in the order of submission."""
        rows = await self._readers.fetch(
            "SELECT job_id FROM jobs INDEXED BY jobs_by_batch"
            " WHERE batch_id = :batch_id AND status IN ('queued', 'running') ORDER BY seq",
            {"batch_id": batch_id},
        )
        return [row["job_id"] for row in rows]

    async def completed(self, batch_id: str) -> list[str]:
        """The ids of the completed jobs, also of pruned ones, in the order of submission."""
        rows = await self._readers.fetch(
            "SELECT seq, job_id FROM jobs INDEXED BY jobs_by_batch"
            " WHERE batch_id = :batch_id AND status = 'completed'"
            " UNION ALL SELECT seq, job_id FROM pruned_jobs INDEXED BY pruned_jobs_by_batch"
            " WHERE batch_id = :batch_id AND status = 'completed' ORDER BY seq",
            {"batch_id": batch_id},
        )
        return [row["job_id"] for row in rows]

    async def results(self, batch_id: str, most: int, after: int = 0) -> list[JobMetrics]:
        """The metrics of the first ``most`` jobs after the one of seq ``after``, in the order of
        submission; of finished jobs, also of pruned ones."""
        rows = await self._readers.fetch(FINISHED_AFTER, _page(batch_id, most, after))
        metrics = await self._readers.fetch(METRICS, {"ids": _json_ids(rows)})
        by_job: dict[str, list[Metric]] = {}
        for job_id, *values in metrics:
            by_job.setdefault(job_id, []).append(metric_of(*values))
        return [
            JobMetrics(
                row["seq"],
                row["job_id"],
                Status(row["status"]),
                row["model"],
                orjson.loads(row["labels"]),
                by_job.get(row["job_id"], []),
            )
            for row in rows
        ]


def _page(batch_id: str, most: int, after: int) -> dict[str, object]:
    return {"batch_id": batch_id, "most": most, "after": after}


def _json_ids(rows: Sequence[Row]) -> str:
    return json_text([row["job_id"] for row in rows])
