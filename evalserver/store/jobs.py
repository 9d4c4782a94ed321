"""The operations that change jobs, each to be run within a transaction.

``attempts.py`` has those that begin an attempt.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from evalserver.core.job import Job, Metric, Outcome
from evalserver.core.lifecycle import SERVER, EventKind, Status
from evalserver.store.attempts import (
    require_begun,
    require_not_handed_over,
    require_status,
    start,
)
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import Change, transition
from evalserver.store.job_rows import RECORD, job_of
from evalserver.store.json_text import json_or_null, json_text
from evalserver.store.queued_series import reason_of_cancel
from evalserver.store.transaction import Transaction

OF_AN_END = (
    "completed_at", "finish_number", "cancel_requested_at", "exit_code", "error", "result",
    "provenance", "result_status", "findings", "failure_code", "failure_advice", "partial",
    "output_bytes",
)  # fmt: skip
"""The columns that say how a job ended."""


def prioritize(tx: Transaction, job_id: str, priority: int, at: str, actor: str) -> None:
    """Give a queued job another priority; its current priority changes nothing.

    Raises IllegalTransition when the job is not queued.
    """
    rows = tx.execute("SELECT priority FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    before = rows[0]["priority"] if rows else None
    if before == priority:
        require_status(tx, job_id, Status.QUEUED)
        return
    detail = {"before": before, "after": priority}
    columns = {"priority": priority}
    transition(tx, Change(EventKind.PRIORITIZED, job_id, at, actor, columns=columns, detail=detail))


def cancel_queued(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """End a job of which no attempt has begun.

    Raises IllegalTransition when it is no longer queued, or was handed over.
    """
    require_status(tx, job_id, Status.QUEUED)
    require_not_handed_over(tx, job_id)
    transition(tx, Change(EventKind.CANCELLED, job_id, at, actor, columns={"completed_at": at}))


def cancel_queued_among(tx: Transaction, job_ids: Sequence[str], at: str, actor: str) -> list[str]:
    """End those of the jobs of which no attempt has begun; returns their ids, in their order."""
    rows = tx.execute(
        "SELECT job_id FROM jobs WHERE status = 'queued' AND handed_over_at IS NULL"
        " AND job_id IN (SELECT value FROM json_each(:job_ids)) ORDER BY seq",
        {"job_ids": json_text(job_ids)},
    )
    found = [str(row["job_id"]) for row in rows]
    for job_id in found:
        transition(tx, Change(EventKind.CANCELLED, job_id, at, actor, columns={"completed_at": at}))
    return found


def request_cancel(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Record that the attempt of a job is to be stopped; a repeated request changes nothing.

    Raises IllegalTransition when none has begun, or it has ended.
    """
    require_begun(tx, job_id)
    rows = tx.execute(
        "SELECT cancel_requested_at FROM jobs WHERE job_id = :job_id", {"job_id": job_id}
    )
    if rows[0]["cancel_requested_at"] is not None:
        return
    columns = {"cancel_requested_at": at}
    transition(tx, Change(EventKind.CANCEL_REQUESTED, job_id, at, actor, columns=columns))


def interrupt(
    tx: Transaction, job_id: str, at: str, reason: str, started_at: str | None = None
) -> None:
    """Put a job whose attempt was lost back into the queue, at its original position.

    ``started_at`` is when the attempt started, if no start was recorded.
    """
    if require_begun(tx, job_id) and started_at is not None:
        start(tx, job_id, at, started_at)
    columns = {"handed_over_at": None}
    detail = {"reason": reason}
    kind = EventKind.INTERRUPTED
    transition(tx, Change(kind, job_id, at, SERVER, columns=columns, detail=detail))


def postpone(tx: Transaction, job_id: str, at: str, reason: str) -> None:
    """Put a running job whose harness was not started back into the queue, at its original
    position; the attempt does not count.

    Raises IllegalTransition when the job is not running, or is to be cancelled.
    """
    rows = tx.execute(
        "SELECT max_attempts FROM jobs WHERE job_id = :job_id AND status = 'running'"
        " AND cancel_requested_at IS NULL",
        {"job_id": job_id},
    )
    if not rows:
        raise IllegalTransition(f"job {job_id} is not running, or is to be cancelled")
    columns = {"max_attempts": rows[0]["max_attempts"] + 1, "handed_over_at": None}
    detail = {"reason": reason}
    change = Change(EventKind.POSTPONED, job_id, at, SERVER, columns=columns, detail=detail)
    transition(tx, change)


def finish(tx: Transaction, job_id: str, at: str, outcome: Outcome) -> None:
    """Record how the attempt of a job ended, with its metrics.

    Raises IllegalTransition when none has begun, or it has ended.
    """
    if require_begun(tx, job_id) and outcome.started_at is not None:
        start(tx, job_id, at, outcome.started_at)
    columns: dict[str, Any] = {
        "completed_at": outcome.completed_at,
        "exit_code": outcome.exit_code,
        "error": outcome.error,
        "result": json_or_null(outcome.result),
        "partial": json_or_null(outcome.partial),
        "output_bytes": outcome.output_bytes,
    }
    if outcome.provenance is not None:
        columns["provenance"] = json_text(outcome.provenance)
    detail = {"exit_code": outcome.exit_code, "error": first_line(outcome.error)}
    if outcome.result_check is not None:
        columns["result_status"] = outcome.result_check.status.value
        columns["findings"] = json_text([asdict(each) for each in outcome.result_check.findings])
        detail["result_check"] = outcome.result_check.status.value
    if outcome.failure is not None:
        columns["failure_code"] = outcome.failure.code
        columns["failure_advice"] = outcome.failure.advice
        detail["failure"] = outcome.failure.code
    if outcome.status is Status.CANCELLED and (why := reason_of_cancel(tx, job_id)):
        columns["error"] = "\n".join(filter(None, (why["reason"], outcome.error)))
        detail |= {**why, "error": first_line(columns["error"])}
    kind = EventKind(outcome.status.value)
    transition(tx, Change(kind, job_id, at, SERVER, columns=columns, detail=detail))
    for metric in outcome.metrics:
        _insert_metric(tx, job_id, metric)


def retry(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Put a finished job back into the queue, at its original position, for a further attempt.

    The outcome of its last attempt moves from the job's record to the event.
    Raises IllegalTransition when the job has not finished.
    """
    rows = tx.execute(f"{RECORD} WHERE job_id = :job_id", {"job_id": job_id})
    job = job_of(rows[0]) if rows else None
    columns: dict[str, Any] = dict.fromkeys((*OF_AN_END, "handed_over_at"))
    detail: dict[str, Any] = {}
    if job is not None:
        # The original number of attempts, in addition to those already made.
        columns["max_attempts"] = job.attempt + job.request.max_attempts
        detail = _end_of(job)
        columns["provenance"] = _of_the_submission(job)
    transition(tx, Change(EventKind.RETRIED, job_id, at, actor, columns=columns, detail=detail))
    tx.execute("DELETE FROM metrics WHERE job_id = :job_id", {"job_id": job_id})


def _insert_metric(tx: Transaction, job_id: str, metric: Metric) -> None:
    tx.execute(
        """
        INSERT INTO metrics (job_id, task, metric, filter, value, stderr, n, higher_is_better,
                             task_version, num_fewshot)
        VALUES (:job_id, :task, :metric, :filter, :value, :stderr, :n, :higher_is_better,
                :task_version, :num_fewshot)
        """,
        {"job_id": job_id, **asdict(metric)},
    )


def _end_of(job: Job) -> dict[str, Any]:
    result = job.result or {}
    return {
        "completed_at": job.completed_at,
        "exit_code": job.exit_code,
        "error": first_line(job.error),
        "metrics": {model: files.get("metrics") for model, files in result.items()},
    }


def _of_the_submission(job: Job) -> str | None:
    """The recorded fingerprints of a job's checkpoints at submission."""
    submitted = (job.provenance or {}).get("checkpoints", {}).get("submitted")
    return json_text({"checkpoints": {"submitted": submitted}}) if submitted else None


def first_line(text: str | None) -> str | None:
    """The first line of an error, shortened."""
    return None if text is None else text.splitlines()[0][:500]
