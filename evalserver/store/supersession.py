"""Superseding: a submission for a newer step of a series ends the older jobs that still wait.

The reason is in their events and in their errors, and names the job that came after them.
"""

from typing import Any

import orjson

from evalserver.core.job import NewJob
from evalserver.core.lifecycle import EventKind
from evalserver.core.request import SUPERSEDE
from evalserver.store.durations import kind_of
from evalserver.store.events import Change, transition
from evalserver.store.transaction import Row, Transaction

OLDER = """
    SELECT job_id, tasks, handed_over_at, cancel_requested_at
    FROM jobs INDEXED BY jobs_queued_in_series
    WHERE series = :series AND status = 'queued' AND step < :step AND seq < :seq
      AND submitted_by = :submitted_by AND engine = :engine
      AND CASE WHEN json_valid(request)
          THEN coalesce(json_extract(request, '$.limit'), -1) = :limit END
    ORDER BY seq
"""

CANCEL_REQUEST = """
    SELECT detail FROM job_events JOIN jobs USING (job_id, attempt)
    WHERE job_id = :job_id AND event = 'cancel_requested'
    ORDER BY event_id DESC LIMIT 1
"""
"""The request to cancel the latest attempt of a job."""


def supersede_older(tx: Transaction, job: NewJob, seq: int, at: str) -> None:
    """End the jobs that a new job supersedes, if it was submitted to do that.

    Those are queued jobs of its series, submitter, engine, tasks and limit that have a lower step
    and were submitted before it. What a cluster has is cancelled there later.
    """
    request = job.request
    if request.on_newer != SUPERSEDE or request.series is None or request.step is None:
        return
    wanted = {
        "series": request.series,
        "step": request.step,
        "seq": seq,
        "submitted_by": job.submitted_by,
        "engine": job.engine,
        "limit": kind_of(job.engine, request).limit,
    }
    for row in tx.execute(OLDER, wanted):
        if set(orjson.loads(row["tasks"])) == set(request.tasks):
            _supersede(tx, row, job, at)


def reason_of_cancel(tx: Transaction, job_id: str) -> dict[str, Any]:
    """Return why the latest attempt of a job was to be cancelled, as the details of an event; empty
    if nobody said why."""
    rows = tx.execute(CANCEL_REQUEST, {"job_id": job_id})
    return dict(orjson.loads(rows[0]["detail"])) if rows else {}


def _supersede(tx: Transaction, older: Row, newer: NewJob, at: str) -> None:
    reason = f"Superseded by job {newer.job_id} of step {newer.request.step}"
    columns: dict[str, Any]
    if older["handed_over_at"] is None:
        kind, columns = EventKind.CANCELLED, {"completed_at": at, "error": reason}
    elif older["cancel_requested_at"] is None:
        kind, columns = EventKind.CANCEL_REQUESTED, {"cancel_requested_at": at}
    else:
        return
    detail = {"reason": reason, "superseded_by": newer.job_id}
    actor = newer.submitted_by
    transition(tx, Change(kind, older["job_id"], at, actor, columns=columns, detail=detail))
