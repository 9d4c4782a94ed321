"""The operations that change a job, each to be run within a transaction."""

from dataclasses import asdict, dataclass, field
from typing import Any

from evalserver.core.job import Job, Metric, Outcome, Slot
from evalserver.core.lifecycle import SERVER, EventKind, Status
from evalserver.store import gpu_holds
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import Change, transition
from evalserver.store.job_rows import RECORD, job_of
from evalserver.store.json_text import json_or_null, json_text
from evalserver.store.transaction import Transaction

OF_AN_END = (
    "completed_at", "finish_number", "cancel_requested_at", "exit_code", "error", "result",
    "provenance", "result_status", "findings", "failure_code", "failure_advice", "partial",
    "output_bytes",
)  # fmt: skip
"""The columns that say how a job ended."""


MAX_OVER = 10
"""The overtaken jobs that an event names; it has the number of all."""


@dataclass(frozen=True)
class Claim:
    """The values that a job gets when its attempt is claimed."""

    job_id: str
    at: str
    run_dir: str
    output_dir: str
    slot: Slot = field(default_factory=Slot)


def prioritize(tx: Transaction, job_id: str, priority: int, at: str, actor: str) -> None:
    """Give a queued job another priority; its current priority changes nothing.

    Raises IllegalTransition when the job is not queued.
    """
    rows = tx.execute("SELECT priority FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    before = rows[0]["priority"] if rows else None
    if before == priority:
        _require(tx, job_id, Status.QUEUED)
        return
    detail = {"before": before, "after": priority}
    columns = {"priority": priority}
    transition(tx, Change(EventKind.PRIORITIZED, job_id, at, actor, columns=columns, detail=detail))


def require_none_ahead(tx: Transaction, job_id: str, after_event: int) -> None:
    """Raise IllegalTransition when a job that was queued after an event is ahead of this one.

    The decision to start the job knows all jobs that were queued before. Jobs with
    ``wait_for_path_s`` let others pass as long as their checkpoints are missing.
    """
    rows = tx.execute(
        """
        SELECT other.job_id FROM job_events
        JOIN jobs AS other USING (job_id)
        JOIN jobs AS own ON own.job_id = :job_id
        WHERE job_events.event_id > :after_event AND job_events.to_status = 'queued'
          AND other.status = 'queued'
          AND (other.priority > own.priority
               OR (other.priority = own.priority AND other.seq < own.seq))
          AND CASE WHEN json_valid(other.request)
              THEN json_extract(other.request, '$.wait_for_path_s') END IS NULL
        LIMIT 1
        """,
        {"job_id": job_id, "after_event": after_event},
    )
    if rows:
        raise IllegalTransition(f"job {job_id} is not next: {rows[0]['job_id']} is before it")


def claim(tx: Transaction, claim: Claim, attempt: int) -> None:
    """Start attempt number ``attempt`` of a queued job, which is running from then on.

    Raises IllegalTransition when the job is not queued, when this attempt has begun before, or when
    a GPU of its slot is held.
    """
    _require_next(tx, claim.job_id, attempt)
    gpus = claim.slot.gpus
    columns = {
        "attempt": attempt,
        "started_at": claim.at,
        "run_dir": claim.run_dir,
        "output_dir": claim.output_dir,
        "gpus": None if gpus is None else json_text(gpus),
    }
    detail: dict[str, Any] = {"run_dir": claim.run_dir}
    if gpus is not None:
        detail["gpus"] = gpus
    if claim.slot.over:
        detail |= {
            "over": claim.slot.over[:MAX_OVER],
            "over_count": len(claim.slot.over),
            "why": claim.slot.why,
        }
    change = Change(
        EventKind.CLAIMED, claim.job_id, claim.at, SERVER, columns=columns, detail=detail
    )
    transition(tx, change)
    gpu_holds.hold(tx, gpus or (), claim.job_id, claim.at)


def reattach(tx: Transaction, job_id: str, at: str) -> None:
    """Record that a restarted server reattached to a job's attempt."""
    transition(tx, Change(EventKind.REATTACHED, job_id, at, SERVER))


def cancel_queued(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """End a job that has not started. Raises IllegalTransition when it is no longer queued."""
    _require(tx, job_id, Status.QUEUED)
    transition(tx, Change(EventKind.CANCELLED, job_id, at, actor, columns={"completed_at": at}))


def request_cancel(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Record that a running job is to be stopped; a repeated request changes nothing."""
    rows = tx.execute(
        "SELECT cancel_requested_at FROM jobs WHERE job_id = :job_id AND status = 'running'",
        {"job_id": job_id},
    )
    if rows and rows[0]["cancel_requested_at"] is not None:
        return
    columns = {"cancel_requested_at": at}
    transition(tx, Change(EventKind.CANCEL_REQUESTED, job_id, at, actor, columns=columns))


def interrupt(tx: Transaction, job_id: str, at: str, reason: str) -> None:
    """Put a job whose attempt was lost back into the queue, at its original position."""
    transition(
        tx,
        Change(EventKind.INTERRUPTED, job_id, at, SERVER, detail={"reason": reason}),
    )


def finish(tx: Transaction, job_id: str, at: str, outcome: Outcome) -> None:
    """Record how a running job ended, with its metrics."""
    _require(tx, job_id, Status.RUNNING)
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
    columns: dict[str, Any] = dict.fromkeys(OF_AN_END)
    detail: dict[str, Any] = {}
    if job is not None:
        # The original number of attempts, in addition to those already made.
        columns["max_attempts"] = job.attempt + job.request.max_attempts
        detail = _end_of(job)
        columns["provenance"] = _of_the_submission(job)
    transition(tx, Change(EventKind.RETRIED, job_id, at, actor, columns=columns, detail=detail))
    tx.execute("DELETE FROM metrics WHERE job_id = :job_id", {"job_id": job_id})


def _require(tx: Transaction, job_id: str, status: Status) -> None:
    rows = tx.execute(
        "SELECT 1 FROM jobs WHERE job_id = :job_id AND status = :status",
        {"job_id": job_id, "status": status.value},
    )
    if not rows:
        raise IllegalTransition(f"job {job_id} is not {status}")


def _require_next(tx: Transaction, job_id: str, attempt: int) -> None:
    """Reject a claim by a stale record, which would start an attempt again in its directory."""
    rows = tx.execute("SELECT attempt FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    if rows and rows[0]["attempt"] != attempt - 1:
        begun = rows[0]["attempt"]
        raise IllegalTransition(f"job {job_id} has begun {begun} attempts, not {attempt - 1}")


def _insert_metric(tx: Transaction, job_id: str, metric: Metric) -> None:
    tx.execute(
        """
        INSERT INTO metrics (job_id, task, metric, filter, value, stderr, n, higher_is_better)
        VALUES (:job_id, :task, :metric, :filter, :value, :stderr, :n, :higher_is_better)
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
