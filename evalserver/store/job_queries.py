"""Queries about jobs."""

import sys
from pathlib import Path

from evalserver.core.job import Job, Metric, QueuedJob, UnfinishedJob
from evalserver.core.lifecycle import Status
from evalserver.store import finished, listing, sorting, stalls, unfinished
from evalserver.store.criteria import JobFilter
from evalserver.store.errors import JobNotFound, JobPruned
from evalserver.store.events import DEMAND, PLACE, REQUEST_BYTES, demand_of, newest_first
from evalserver.store.job_rows import RECORD, job_of
from evalserver.store.json_text import json_text
from evalserver.store.listing import NEWEST, Page
from evalserver.store.pruned_jobs import PRUNED_RECORD, pruned_job_of
from evalserver.store.queued_series import Queued
from evalserver.store.readers import Readers
from evalserver.store.sorting import Order, Place, SortedPage
from evalserver.store.transaction import Row

QUEUED = f"""
    SELECT seq, job_id, priority, {PLACE} AS place, submitted_by, executor, {DEMAND} AS demand,
           newest_first, series, step
    FROM jobs WHERE status = 'queued' AND handed_over_at IS NULL AND seq > :after
    ORDER BY seq LIMIT :most
"""  # noqa: S608 - of this package's own constants

MAX_PART = 1000


class JobQueries:
    """Reads jobs, their metrics and the queue.

    Searches have separate readers, so that no other query waits for them.
    """

    def __init__(self, readers: Readers, search_readers: Readers) -> None:
        self._readers = readers
        self._search_readers = search_readers

    async def job(self, job_id: str) -> Job:
        """The record of a job. Raises JobNotFound or JobPruned."""
        job = await self.with_pruned(job_id)
        if job.pruned_at is not None:
            raise JobPruned(
                f"Job {job_id} finished and was pruned; its metrics are kept:"
                f" GET /jobs/{job_id}/results (evalserver results {job_id})"
            )
        return job

    async def with_pruned(self, job_id: str) -> Job:
        """The record of a job, or what is kept of a pruned one: ``pruned_at`` says which.

        Raises JobNotFound, or JobPruned if nothing is kept.
        """
        job = await self.find(job_id) or await self.find_pruned(job_id)
        if job is not None:
            return job
        if await self.was_known(job_id):
            raise JobPruned(
                f"Job {job_id} finished and was pruned, and nothing of it is kept but its events in"
                f" the audit log (evalserver audit show {job_id}, on the server's machine)"
            )
        raise JobNotFound(f"Job {job_id} not found")

    async def find_pruned(self, job_id: str) -> Job | None:
        """What is kept of a pruned job; None if there is no such job."""
        row = await self._readers.look_up(
            f"{PRUNED_RECORD} WHERE job_id = :job_id", {"job_id": job_id}
        )
        return None if row is None else pruned_job_of(row)

    async def find(self, job_id: str) -> Job | None:
        """The job's record, or None when there is none (any more)."""
        row = await self._readers.look_up(f"{RECORD} WHERE job_id = :job_id", {"job_id": job_id})
        return None if row is None else job_of(row)

    async def was_known(self, job_id: str) -> bool:
        """Whether a job with this id ever existed."""
        sql = (
            "SELECT 1 FROM job_events WHERE job_id = :job_id AND event <> 'archived'"
            " UNION ALL SELECT 1 FROM archived_jobs WHERE job_id = :job_id LIMIT 1"
        )
        return await self._readers.look_up(sql, {"job_id": job_id}) is not None

    async def page(self, wanted: JobFilter, most: int, before: int = NEWEST) -> Page:
        """The newest ``most`` wanted jobs that were submitted before the one of seq ``before``.

        A page of large records may have fewer, with more to follow: see ``Page.next``.
        """
        return await listing.page(self._readers_for(wanted), wanted, most, before)

    async def sorted_page(
        self, wanted: JobFilter, most: int, order: Order, after: Place | None = None
    ) -> SortedPage:
        """The first ``most`` wanted jobs in this order after the place ``after``.

        A page of large records may have fewer, with more to follow.
        """
        return await sorting.sorted_page(self._readers_for(wanted), wanted, most, order, after)

    async def finished_page(self, wanted: JobFilter, most: int, after: int = 0) -> Page:
        """The first ``most`` wanted jobs that finished with events after ``after``, in order.

        A page of large records may have fewer, with more to follow: see ``Page.next``.
        """
        return await finished.finished_page(self._readers_for(wanted), wanted, most, after)

    async def last_finished(self, most: int) -> list[Job]:
        """The ``most`` jobs that finished last, the last one first."""
        return await finished.last_finished(self._readers, most)

    async def metrics(self, job_id: str) -> list[Metric]:
        """The job's metrics, by task, metric and filter, also if it was pruned."""
        rows = await self._readers.fetch(
            """
            SELECT task, metric, filter, value, stderr, n, higher_is_better, task_version,
                   num_fewshot
            FROM metrics
            WHERE job_id = :job_id
            ORDER BY task, metric, filter
            """,
            {"job_id": job_id},
        )
        return [metric_of(*row) for row in rows]

    async def run_dir(self, job_id: str, attempt: int) -> Path | None:
        """The run directory that an attempt was given when it was claimed; None if it was not."""
        rows = await self._readers.fetch(
            "SELECT json_extract(detail, '$.run_dir') AS run_dir FROM job_events"
            " WHERE job_id = :job_id AND event IN ('claimed', 'handed_over')"
            " AND attempt = :attempt",
            {"job_id": job_id, "attempt": attempt},
        )
        return Path(rows[0]["run_dir"]) if rows else None

    async def count_stalled(self) -> int:
        """How many running jobs have stalled."""
        return await stalls.count_stalled(self._readers)

    async def fails_for_stall(self, job: Job) -> bool:
        """Whether it was decided that the job's attempt is stopped and fails, as it stalled."""
        return await stalls.fails_for_stall(self._readers, job)

    async def start_by(self, job_id: str) -> float | None:
        """The POSIX time until which the job's last claim lets its harness start; None: any."""
        rows = await self._readers.fetch(
            """
            SELECT json_extract(detail, '$.start_by') AS start_by FROM job_events
            WHERE job_id = :job_id AND event = 'claimed'
            ORDER BY event_id DESC LIMIT 1
            """,
            {"job_id": job_id},
        )
        return rows[0]["start_by"] if rows else None

    async def running(self) -> list[Job]:
        """The running jobs, in the order of their start."""
        rows = await self._readers.fetch(
            f"{RECORD} WHERE status = 'running' ORDER BY started_at, seq"
        )
        return [job_of(row) for row in rows]

    async def handed_over(self) -> list[Job]:
        """The queued jobs that wait on a cluster, in the order in which they were handed over."""
        rows = await self._readers.fetch(
            f"{RECORD} WHERE status = 'queued' AND handed_over_at IS NOT NULL"
            " AND completed_at IS NULL ORDER BY handed_over_at, event_id"
        )
        return [job_of(row) for row in rows]

    async def to_cancel_on_clusters(self) -> list[Job]:
        """The queued jobs that wait on a cluster and are to be cancelled."""
        rows = await self._readers.fetch(
            f"{RECORD} WHERE handed_over_at IS NOT NULL AND completed_at IS NULL"
            " AND status = 'queued' AND cancel_requested_at IS NOT NULL"
        )
        return [job_of(row) for row in rows]

    async def unfinished_by_executor(self) -> dict[str, list[str]]:
        """The first jobs that have not finished, at most ten of each executor."""
        rows = await self._readers.fetch(
            """
            WITH RECURSIVE names (executor) AS (
                SELECT min(executor) FROM jobs WHERE completed_at IS NULL
                UNION ALL
                SELECT (SELECT min(executor) FROM jobs
                        WHERE completed_at IS NULL AND executor > names.executor)
                FROM names WHERE names.executor IS NOT NULL
            )
            SELECT names.executor, jobs.job_id FROM names
            JOIN jobs ON jobs.executor = names.executor AND jobs.completed_at IS NULL
            WHERE names.executor IS NOT NULL
              AND jobs.seq IN (SELECT first.seq FROM jobs AS first
                               WHERE first.executor = names.executor
                                 AND first.completed_at IS NULL LIMIT 10)
            ORDER BY names.executor, jobs.seq
            """
        )
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["executor"], []).append(row["job_id"])
        return found

    async def next_unfinished(self, after: int) -> list[UnfinishedJob]:
        """The first queued and running jobs after the seq ``after``, in order of submission."""
        return await unfinished.next_unfinished(self._readers, after)

    async def queued(self) -> list[QueuedJob]:
        """The queued jobs that were not handed over, in the order of their places."""
        found: list[QueuedJob] = []
        last = 0
        # In parts: the memory of all rows at once, mixed with that of the jobs, would not be freed.
        while part := await self._readers.fetch(QUEUED, {"after": last, "most": MAX_PART}):
            found += map(_queued_job, part)
            last = part[-1]["seq"]
        return sorted(found, key=lambda job: (-job.priority, job.place))

    async def queued_by_submitter(self) -> dict[str, Queued]:
        """How many jobs of each submitter are queued, and the bytes of their requests."""
        rows = await self._readers.fetch(
            f"SELECT submitted_by, count(*) AS jobs, sum({REQUEST_BYTES}) AS bytes"  # noqa: S608
            " FROM jobs WHERE status = 'queued' GROUP BY submitted_by"
        )
        return {row["submitted_by"]: Queued(row["jobs"], row["bytes"]) for row in rows}

    async def oldest_queued(self) -> str | None:
        """The time of the earliest queued submission; None when nothing is queued."""
        # Goes from priority to priority, and takes the first job of each: one step per priority,
        # however many jobs there are.
        rows = await self._readers.fetch(
            """
            WITH RECURSIVE levels (priority) AS (
                SELECT max(priority) FROM jobs WHERE status = 'queued'
                UNION ALL
                SELECT (SELECT max(priority) FROM jobs
                        WHERE status = 'queued' AND priority < levels.priority)
                FROM levels WHERE levels.priority IS NOT NULL
            )
            SELECT created_at FROM jobs
            WHERE seq = (
                SELECT min((SELECT min(seq) FROM jobs
                            WHERE status = 'queued' AND priority = levels.priority))
                FROM levels
            )
            """
        )
        return rows[0]["created_at"] if rows else None

    async def all_ids(self) -> set[str]:
        """The ids of all jobs that the store keeps."""
        return {row["job_id"] for row in await self._readers.fetch("SELECT job_id FROM jobs")}

    async def pruned_among(self, job_ids: list[str]) -> list[str]:
        """Those of the ids that belong to pruned jobs."""
        rows = await self._readers.fetch(
            "SELECT job_id FROM job_events WHERE event = 'pruned'"
            " AND job_id IN (SELECT value FROM json_each(:job_ids))"
            # Every archived job is a pruned one.
            " UNION SELECT job_id FROM archived_jobs"
            " WHERE job_id IN (SELECT value FROM json_each(:job_ids))",
            {"job_ids": json_text(job_ids)},
        )
        return [row["job_id"] for row in rows]

    async def count_finished_before(self, before: str) -> int:
        """How many of the kept jobs finished before a time."""
        rows = await self._readers.fetch(
            "SELECT count(*) AS n FROM jobs INDEXED BY jobs_finished"
            " WHERE finish_number IS NOT NULL AND completed_at < :before",
            {"before": before},
        )
        return int(rows[0]["n"])

    async def count_by_status(self) -> dict[Status, int]:
        """How many jobs the store keeps in each state."""
        rows = await self._readers.fetch("SELECT status, jobs FROM job_counts")
        counts = {row["status"]: int(row["jobs"]) for row in rows}
        return {status: counts[status.value] for status in Status}

    def _readers_for(self, wanted: JobFilter) -> Readers:
        """A search may take long, so it has a separate connection."""
        return self._readers if wanted.search is None else self._search_readers


def metric_of(
    task: str,
    metric: str,
    kind: str,
    value: float,
    stderr: float | None,
    n: int | None,
    better: int | None,
    task_version: str | None = None,
    num_fewshot: int | None = None,
) -> Metric:
    """The metric in the columns of a row."""
    higher_is_better = None if better is None else bool(better)
    return Metric(task, metric, kind, value, stderr, n, higher_is_better, task_version, num_fewshot)


def _queued_job(row: Row) -> QueuedJob:
    # A submitter and an executor are once in memory, however many jobs have them.
    return QueuedJob(
        row["job_id"],
        row["priority"],
        row["place"],
        sys.intern(row["submitted_by"]),
        demand_of(row["demand"]),
        sys.intern(row["executor"]),
        newest_first(row),
    )
