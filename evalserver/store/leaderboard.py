"""What a leaderboard is made of: the latest completed jobs, and one number of each kind that counts
for a model. Of the jobs, also pruned ones, only the newest are read, so that the cost is bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.core.job import Metric
from evalserver.core.lifecycle import Status
from evalserver.store.job_queries import metric_of
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row

MAX_LEADERBOARD_JOBS = 10_000
"""The newest finished jobs that are considered; of series that are named, their newest."""
MAX_NUMBERS = 20_000
"""Numbers that are returned: one per model, task, metric and filter."""

COLUMNS = """
    seq, job_id, engine, model, labels, series, step, completed_at, status,
    CASE WHEN json_valid(request) THEN json_extract(request, '$.model_args') END AS model_args,
    CASE WHEN json_valid(request) THEN json_extract(request, '$.harness_args') END AS harness_args,
    CASE WHEN json_valid(request) THEN json_extract(request, '$.limit') END AS sample_limit,
    0 AS pruned
"""
PRUNED_COLUMNS = """
    seq, job_id, engine, model, labels, series, step, completed_at, status, model_args,
    harness_args, sample_limit, 1 AS pruned
"""

NEWEST = f"""
    SELECT * FROM (
        SELECT finish_number AS place, {COLUMNS} FROM jobs INDEXED BY jobs_finished
        WHERE finish_number IS NOT NULL ORDER BY finish_number DESC LIMIT :most
    )
    UNION ALL
    SELECT * FROM (
        SELECT finish_number AS place, {PRUNED_COLUMNS} FROM pruned_jobs
        WHERE finish_number >= 0 ORDER BY finish_number DESC LIMIT :most
    )
    ORDER BY place DESC LIMIT :most
"""  # noqa: S608 - texts of this module
OF_SERIES = f"""
    SELECT * FROM (
        SELECT jobs.seq AS place, {COLUMNS} FROM jobs INDEXED BY jobs_by_series
        WHERE series IN (SELECT value FROM json_each(:series)) AND status = 'completed'
        ORDER BY jobs.seq DESC LIMIT :most
    )
    UNION ALL
    SELECT * FROM (
        SELECT pruned_jobs.seq AS place, {PRUNED_COLUMNS}
        FROM pruned_jobs INDEXED BY pruned_jobs_by_series
        WHERE series IN (SELECT value FROM json_each(:series)) AND status = 'completed'
        ORDER BY pruned_jobs.seq DESC LIMIT :most
    )
    ORDER BY place DESC LIMIT :most
"""  # noqa: S608 - texts of this module

NUMBERS = """
    WITH candidates AS (
        SELECT json_extract(value, '$[0]') AS job_id, json_extract(value, '$[1]') AS entry,
               json_extract(value, '$[2]') AS settings, key AS place
        FROM json_each(:candidates)
    ),
    ranked AS (
        SELECT candidates.job_id, candidates.entry, candidates.settings, metrics.task,
               metrics.metric, metrics.filter, value, stderr, n, higher_is_better, task_version,
               num_fewshot,
               row_number() OVER (same ORDER BY CASE WHEN :best THEN CASE higher_is_better
                   WHEN 1 THEN -value WHEN 0 THEN value END END, place) AS rank,
               count(*) OVER same AS jobs
        FROM candidates
        CROSS JOIN metrics ON metrics.job_id = candidates.job_id
        WHERE :all_tasks OR EXISTS (
            SELECT 1 FROM json_each(:tasks) AS wanted WHERE metrics.task GLOB wanted.value
        )
        WINDOW same AS (PARTITION BY candidates.entry, candidates.settings, metrics.task,
                        metrics.metric, metrics.filter, task_version, num_fewshot)
    )
    SELECT * FROM ranked WHERE rank = 1 LIMIT :most
"""
"""Of each kind of number of an entry, that of the first of its candidates, or the best one."""


@dataclass(frozen=True)
class FinishedJob:
    """A completed job that may count for a model; ``limit`` is that of its request, None without
    one. ``step`` is None if it is no number."""

    job_id: str
    engine: str
    model: str
    model_args: dict[str, Any]
    harness_args: dict[str, Any]
    limit: float | None
    labels: dict[str, str]
    series: str | None
    step: int | None
    completed_at: str
    pruned: bool


@dataclass(frozen=True)
class Considered:
    """The completed jobs among the newest; whether there are older ones that were not read."""

    jobs: Sequence[FinishedJob]
    has_older: bool


@dataclass(frozen=True)
class Candidate:
    """A job, the entry of the leaderboard that it may count for, and the settings that make its
    numbers comparable, both as numbers."""

    job_id: str
    entry: int
    settings: int


@dataclass(frozen=True)
class Number:
    """The number that counts for an entry, among those of so many ``jobs``."""

    job_id: str
    entry: int
    settings: int
    metric: Metric
    jobs: int


class LeaderboardQueries:
    """Reads leaderboards. It may take a second, so it has the connection for searches."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def considered(self, series: Sequence[str] = ()) -> Considered:
        """The newest completed jobs, or those of these series; the newest first."""
        rows = await self._readers.fetch(
            OF_SERIES if series else NEWEST,
            {"series": json_text(list(series)), "most": MAX_LEADERBOARD_JOBS + 1},
        )
        jobs = [
            _job_of(row) for row in rows[:MAX_LEADERBOARD_JOBS] if row["status"] == Status.COMPLETED
        ]
        return Considered(jobs, len(rows) > MAX_LEADERBOARD_JOBS)

    async def numbers(
        self, candidates: Sequence[Candidate], tasks: Sequence[str], *, best: bool
    ) -> list[Number]:
        """One number per entry, settings, task, metric and filter: that of the first candidate
        which has it, or the best one. ``tasks`` are names or patterns (``mmlu_*``); none: all."""
        rows = await self._readers.fetch(
            NUMBERS,
            {
                "candidates": json_text(
                    [[each.job_id, each.entry, each.settings] for each in candidates]
                ),
                "tasks": json_text(list(tasks)),
                "all_tasks": not tasks,
                "best": best,
                "most": MAX_NUMBERS,
            },
        )
        return [_number_of(row) for row in rows]


def _job_of(row: Row) -> FinishedJob:
    limit = row["sample_limit"]
    return FinishedJob(
        job_id=row["job_id"],
        engine=row["engine"],
        model=row["model"],
        model_args=_object(row["model_args"]),
        harness_args=_object(row["harness_args"]),
        limit=None if limit is None or limit < 0 else float(limit),
        labels=_object(row["labels"]),
        series=row["series"],
        step=_step(row["step"]),
        completed_at=row["completed_at"],
        pruned=bool(row["pruned"]),
    )


def _object(text: str | None) -> dict[str, Any]:
    found = None if text is None else orjson.loads(text)
    return found if isinstance(found, dict) else {}


def _step(value: int | str | None) -> int | None:
    # Pruned jobs have it as text, also what was the text of a label.
    return int(value) if value is not None and str(value).isdecimal() else None


def _number_of(row: Row) -> Number:
    metric = metric_of(
        row["task"], row["metric"], row["filter"], row["value"], row["stderr"], row["n"],
        row["higher_is_better"], row["task_version"], row["num_fewshot"],
    )  # fmt: skip
    return Number(row["job_id"], row["entry"], row["settings"], metric, row["jobs"])
