"""The operations that begin attempts, and the checks of whether one has begun.

Each is to be run within a transaction.
"""

from dataclasses import dataclass, field
from typing import Any

from evalserver.core.job import Slot
from evalserver.core.lifecycle import SERVER, EventKind, Status
from evalserver.store import gpu_holds
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import IN_PLACE_OF, Change, transition
from evalserver.store.json_text import json_text
from evalserver.store.queued_series import exchange_places
from evalserver.store.transaction import Transaction


@dataclass(frozen=True)
class Claim:
    """The values that a job gets when its attempt is claimed or handed over."""

    job_id: str
    at: str
    run_dir: str
    output_dir: str
    slot: Slot = field(default_factory=Slot)
    after_event: int = 0
    """The newest event that the decision for this job knew."""


def claim(tx: Transaction, claim: Claim, attempt: int) -> None:
    """Start attempt number ``attempt`` of a queued job, which is running from then on.

    Raises IllegalTransition when the job is not queued, when one that was queued since the decision
    is ahead of it, when this attempt has begun before, or when a GPU of its slot is held.
    """
    in_place_of = _take_place(tx, claim, attempt)
    gpus = claim.slot.gpus
    columns = {
        "attempt": attempt,
        "started_at": claim.at,
        "run_dir": claim.run_dir,
        "output_dir": claim.output_dir,
        "gpus": None if gpus is None else json_text(gpus),
    }
    detail: dict[str, Any] = {"run_dir": claim.run_dir, **in_place_of}
    if gpus is not None:
        detail["gpus"] = gpus
    if claim.slot.over:
        detail |= {
            "over": claim.slot.over,
            "over_count": claim.slot.over_count,
            "why": claim.slot.why,
        }
    if claim.slot.start_by is not None:
        detail["start_by"] = claim.slot.start_by
    change = Change(
        EventKind.CLAIMED, claim.job_id, claim.at, SERVER, columns=columns, detail=detail
    )
    transition(tx, change)
    gpu_holds.hold(tx, gpus or (), claim.job_id, claim.at)


def hand_over(tx: Transaction, claim: Claim, attempt: int) -> None:
    """Begin attempt number ``attempt`` of a queued job on a cluster, where it waits for its start.

    Raises IllegalTransition when the job is not queued or was handed over, when one that was queued
    since the decision is ahead of it, or when this attempt has begun before.
    """
    in_place_of = _take_place(tx, claim, attempt)
    columns = {
        "attempt": attempt,
        "handed_over_at": claim.at,
        "started_at": None,
        "run_dir": claim.run_dir,
        "output_dir": claim.output_dir,
        "gpus": None,
    }
    detail = {"run_dir": claim.run_dir, **in_place_of}
    kind = EventKind.HANDED_OVER
    transition(tx, Change(kind, claim.job_id, claim.at, SERVER, columns=columns, detail=detail))


def start(tx: Transaction, job_id: str, at: str, started_at: str) -> None:
    """Record that a job which was handed over runs, since ``started_at``.

    Raises IllegalTransition when it is not queued, or was not handed over.
    """
    _require_handed_over(tx, job_id)
    columns = {"started_at": started_at}
    detail = {"started_at": started_at}
    transition(tx, Change(EventKind.STARTED, job_id, at, SERVER, columns=columns, detail=detail))


def reattach(tx: Transaction, job_id: str, at: str) -> None:
    """Record that a restarted server reattached to a job's attempt."""
    transition(tx, Change(EventKind.REATTACHED, job_id, at, SERVER))


def require_status(tx: Transaction, job_id: str, status: Status) -> None:
    rows = tx.execute(
        "SELECT 1 FROM jobs WHERE job_id = :job_id AND status = :status",
        {"job_id": job_id, "status": status.value},
    )
    if not rows:
        raise IllegalTransition(f"job {job_id} is not {status}")


def is_handed_over(tx: Transaction, job_id: str) -> bool:
    """Return whether a job is queued and in the hands of a cluster."""
    sql = (
        "SELECT 1 FROM jobs"
        " WHERE job_id = :job_id AND status = 'queued' AND handed_over_at IS NOT NULL"
    )
    return bool(tx.execute(sql, {"job_id": job_id}))


def _require_handed_over(tx: Transaction, job_id: str) -> None:
    if not is_handed_over(tx, job_id):
        raise IllegalTransition(f"job {job_id} is not waiting on a cluster")


def require_not_handed_over(tx: Transaction, job_id: str) -> None:
    if is_handed_over(tx, job_id):
        raise IllegalTransition(f"job {job_id} was handed over to a cluster")


def require_begun(tx: Transaction, job_id: str) -> bool:
    """Reject the end of an attempt that has not begun. Returns whether it waits on a cluster."""
    waits = is_handed_over(tx, job_id)
    if not waits:
        require_status(tx, job_id, Status.RUNNING)
    return waits


def _take_place(tx: Transaction, claim: Claim, attempt: int) -> dict[str, str]:
    """Return whose place a queued job takes as it begins an attempt, as details of the event.

    Raises IllegalTransition when it cannot begin, or is not next any more.
    """
    require_not_handed_over(tx, claim.job_id)
    _require_next(tx, claim.job_id, attempt)
    other = exchange_places(tx, claim.job_id)
    _require_none_ahead(tx, claim.job_id, claim.after_event)
    return {} if other is None else {IN_PLACE_OF: other}


def _require_next(tx: Transaction, job_id: str, attempt: int) -> None:
    """Reject a claim by a stale record, which would start an attempt again in its directory."""
    rows = tx.execute("SELECT attempt FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    if rows and rows[0]["attempt"] != attempt - 1:
        begun = rows[0]["attempt"]
        raise IllegalTransition(f"job {job_id} has begun {begun} attempts, not {attempt - 1}")


def _require_none_ahead(tx: Transaction, job_id: str, after_event: int) -> None:
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
          AND other.status = 'queued' AND other.handed_over_at IS NULL
          AND other.executor = own.executor
          AND (other.priority > own.priority
               OR (other.priority = own.priority
                   AND coalesce(other.place, other.seq) < coalesce(own.place, own.seq))
               OR (other.newest_first AND own.newest_first AND other.series = own.series
                   AND other.submitted_by = own.submitted_by AND other.priority = own.priority
                   AND other.step > own.step
                   AND CASE WHEN json_valid(other.request) AND json_valid(own.request)
                       THEN json_extract(other.request, '$.num_gpus')
                            IS json_extract(own.request, '$.num_gpus') END))
          AND CASE WHEN json_valid(other.request)
              THEN json_extract(other.request, '$.wait_for_path_s') END IS NULL
        LIMIT 1
        """,
        {"job_id": job_id, "after_event": after_event},
    )
    if rows:
        raise IllegalTransition(f"job {job_id} is not next: {rows[0]['job_id']} is before it")
