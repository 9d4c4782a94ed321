"""How long jobs took, by kind: the basis for estimating others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalserver.core.request import EvaluateRequest
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.stored_request import DamagedRequest, parse_request

NEWEST = 20
"""How many completed jobs of a kind are considered."""

NO_LIMIT = -1


@dataclass(frozen=True)
class Kind:
    """The properties shared by jobs that take about as long.

    Without the model's arguments: they name the checkpoint, which differs every time. With the
    options of the harness (JSON): some of them multiply the work, such as ``repeats``.
    """

    engine: str
    model: str
    tasks: tuple[str, ...]
    limit: int | float
    num_gpus: int
    harness_args: str = ""


@dataclass(frozen=True)
class Known:
    """What is needed to estimate when a job will finish."""

    kind: Kind
    started_at: str | None


def kind_of(engine: str, request: EvaluateRequest) -> Kind:
    """The kind of a job for this engine."""
    limit = NO_LIMIT if request.limit is None else request.limit
    harness_args = json_text(request.harness_args) if request.harness_args else ""
    return Kind(engine, request.model, request.tasks, limit, request.num_gpus, harness_args)


class Durations:
    """Reads how long jobs took, and the data of a job for an estimate."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def of_kind(self, kind: Kind) -> list[float]:
        """The durations of the newest completed jobs of a kind, in seconds, for their last
        attempts; also of pruned ones."""
        rows = await self._readers.fetch(
            """
            SELECT (julianday(completed_at) - julianday(started_at)) * 86400 AS seconds
            FROM (
                SELECT * FROM (
                    SELECT completed_at, started_at, finish_number
                    FROM jobs
                    WHERE status = 'completed' AND engine = :engine AND model = :model
                      AND tasks = :tasks
                      AND coalesce(json_extract(request, '$.limit'), -1) = :limit
                      AND json_extract(request, '$.num_gpus') = :num_gpus
                      AND coalesce(nullif(json_extract(request, '$.harness_args'), '{}'), '')
                          = coalesce(json(nullif(:harness_args, '')), '')
                    ORDER BY finish_number DESC LIMIT :newest
                )
                UNION ALL
                SELECT * FROM (
                    SELECT completed_at, started_at, finish_number
                    FROM pruned_jobs
                    WHERE status = 'completed' AND engine = :engine AND model = :model
                      AND tasks = :tasks AND sample_limit = :limit AND num_gpus = :num_gpus
                      AND coalesce(nullif(harness_args, '{}'), '')
                          = coalesce(json(nullif(:harness_args, '')), '')
                    ORDER BY finish_number DESC LIMIT :newest
                )
            )
            ORDER BY finish_number DESC
            LIMIT :newest
            """,
            {
                "engine": kind.engine,
                "model": kind.model,
                "tasks": json_text(kind.tasks),
                "limit": kind.limit,
                "num_gpus": kind.num_gpus,
                "harness_args": kind.harness_args,
                "newest": NEWEST,
            },
        )
        # After the clock was set back, an end can precede its start.
        return [max(0.0, row["seconds"]) for row in rows]

    async def known(self, job_ids: Sequence[str]) -> dict[str, Known]:
        """The data of these jobs, without pruned or damaged ones."""
        rows: list[Any] = await self._readers.fetch(
            "SELECT job_id, engine, request, started_at FROM jobs"
            " WHERE job_id IN (SELECT value FROM json_each(:job_ids))",
            {"job_ids": json_text(job_ids)},
        )
        return {
            row["job_id"]: Known(kind_of(row["engine"], request), row["started_at"])
            for row in rows
            if (request := _request(row)) is not None
        }


def _request(row: Any) -> EvaluateRequest | None:
    try:
        return parse_request(row["request"])
    except DamagedRequest:
        return None
