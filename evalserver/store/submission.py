"""Putting new jobs into the queue: all pending submissions with one statement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from evalserver.core.job import NewJob
from evalserver.core.lifecycle import EventKind, Status
from evalserver.core.masking import mask_text
from evalserver.core.model_title import MAX_TITLE, model_title
from evalserver.core.request import KEEP, EvaluateRequest
from evalserver.runner.crash_point import crash_point
from evalserver.store.events import Change, Happened, record
from evalserver.store.json_text import json_text
from evalserver.store.queued_series import (
    NOTHING,
    Queued,
    require_freed,
    require_room,
    supersede_older,
)
from evalserver.store.search import searched_text
from evalserver.store.transaction import BatchOperation, Transaction

COLUMNS = (
    "job_id", "status", "engine", "model", "tasks", "priority", "labels", "request",
    "submitted_by", "created_at", "max_attempts", "provenance", "executor", "model_title",
    "batch_id", "series", "step", "newest_first",
)  # fmt: skip
"""The columns of a new job."""
REQUEST = COLUMNS.index("request")

INSERT = f"""
    INSERT INTO jobs ({", ".join(COLUMNS)})
    SELECT {", ".join(f"json_extract(value, '$[{n}]')" for n in range(len(COLUMNS)))}
    FROM json_each(:rows)
"""  # noqa: S608 - of this module's own constants

MAX_STATEMENT = 500
MAX_STATEMENT_BYTES = 2 * 1024 * 1024
"""The maximum number of jobs per statement, and of the characters of their requests (one may have
more): each may have a megabyte. After each statement, the writer's thread waits for the
interpreter."""


@dataclass(frozen=True)
class Submission(BatchOperation[None]):
    """The unit of work that puts a new job into the queue; ``now`` is the clock.

    What it supersedes must be at least ``must_free``, or it raises QueueFull.
    """

    job: NewJob
    now: Callable[[], str]
    must_free: Queued = NOTHING

    @classmethod
    def run_batch(cls, tx: Transaction, works: list[Self]) -> list[None]:
        """Put all of them into the queue, in their order."""
        freed = submit_batch(tx, [each.job for each in works], works[0].now())
        for work, by_job in zip(works, freed, strict=True):
            require_freed([by_job], work.must_free)
        return [None] * len(works)


def submit_batch(tx: Transaction, jobs: Sequence[NewJob], at: str) -> list[Queued]:
    """Put any number of new jobs into the queue, in their order; returns what each supersedes.

    Raises SeriesFull when the series of one has as many waiting jobs as it may.
    """
    freed: list[Queued] = []
    rows: list[list[Any]] = []
    first = size = 0
    for number, job in enumerate(jobs, start=1):
        rows.append(_row(job, at))
        size += len(rows[-1][REQUEST])
        if number == len(jobs) or len(rows) == MAX_STATEMENT or size > MAX_STATEMENT_BYTES:
            freed += _insert(tx, jobs[first:number], rows, at)
            rows, first, size = [], number, 0
    return freed


def _insert(
    tx: Transaction, jobs: Sequence[NewJob], rows: Sequence[list[Any]], at: str
) -> list[Queued]:
    freed: list[Queued] = []
    numbers = tx.insert(INSERT, rows)
    _insert_arguments(tx, jobs, numbers)
    record(tx, [_happened(*each, at) for each in zip(jobs, rows, numbers, strict=True)])
    for job, seq in zip(jobs, numbers, strict=True):
        freed.append(NOTHING if job.request.on_newer == KEEP else supersede_older(tx, job, seq, at))
        if job.max_waiting is not None:
            require_room(tx, job, job.max_waiting, seq)
    crash_point("submitting")
    return freed


def _insert_arguments(tx: Transaction, jobs: Sequence[NewJob], numbers: Sequence[int]) -> None:
    texts = [searched_text(job.request.model_args, job.request.harness_args) for job in jobs]
    rows = [row for row in zip(numbers, texts, strict=True) if row[1] is not None]
    if rows:
        tx.execute(
            "INSERT INTO job_arguments (seq, text)"
            " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')"
            " FROM json_each(:rows)",
            {"rows": json_text(rows)},
        )


def _row(job: NewJob, at: str) -> list[Any]:
    """The values of ``COLUMNS``."""
    request = job.request
    return [
        job.job_id,
        Status.QUEUED.value,
        job.engine,
        request.model,
        json_text(request.tasks),
        request.priority,
        json_text(request.labels),
        json_text(request),
        job.submitted_by,
        at,
        request.max_attempts,
        None if job.provenance is None else json_text(job.provenance),
        job.executor,
        _title(request)[:MAX_TITLE],
        job.batch_id,
        request.series,
        request.step,
        int(job.newest_first),
    ]


def _title(request: EvaluateRequest) -> str:
    """The title as every reader of the job may see it."""
    return mask_text(model_title({"model": request.model, "model_args": request.model_args}))


def _happened(job: NewJob, row: list[Any], seq: int, at: str) -> Happened:
    request = job.request
    facts = {
        "seq": seq,
        "priority": job.request.priority,
        "engine": job.engine,
        "attempt": 0,
        "created_at": at,
        "started_at": None,
        "completed_at": None,
        "submitted_by": job.submitted_by,
        "executor": job.executor,
        "handed_over_at": None,
        "request_bytes": len(row[REQUEST].encode()),
        "demand": json_text((request.num_gpus, request.timeout_s, request.wait_for_path_s)),
        "gpus": None,
        "place": seq,
        "newest_first": job.newest_first,
        "series": request.series,
        "step": request.step,
    }
    detail = {} if job.batch_id is None else {"batch_id": job.batch_id}
    change = Change(EventKind.SUBMITTED, job.job_id, at, job.submitted_by, detail=detail)
    return Happened(change, facts, None, Status.QUEUED)
