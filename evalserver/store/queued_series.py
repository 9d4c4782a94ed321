"""What a submission does to the queued jobs of its series, and they to it.

One for a newer step may supersede the older jobs that still wait: the reason is in their events
and in their errors, and names the job that came after them. One beyond the operator's limit is
rejected. Where the operator wants the newest first, one that starts exchanges its place with the
job that has the place in which it starts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.core.job import NewJob
from evalserver.core.lifecycle import EventKind
from evalserver.core.request import SUPERSEDE
from evalserver.store.durations import kind_of
from evalserver.store.errors import QueueFull, SeriesFull
from evalserver.store.events import DEMAND, REQUEST_BYTES, Change, demand_of, transition
from evalserver.store.transaction import Row, Transaction

OLDER = f"""
    SELECT job_id, tasks, handed_over_at, cancel_requested_at, {REQUEST_BYTES} AS request_bytes
    FROM jobs INDEXED BY jobs_queued_in_series
    WHERE series = :series AND status = 'queued' AND step < :step AND seq < :seq
      AND submitted_by = :submitted_by AND engine = :engine
      AND CASE WHEN json_valid(request)
          THEN coalesce(json_extract(request, '$.limit'), -1) = :limit END
    ORDER BY seq
"""  # noqa: S608 - of this package's own constants

WAITING = """
    SELECT count(*) AS jobs FROM (
        SELECT 1 FROM jobs INDEXED BY jobs_queued_in_series
        WHERE series = :series AND status = 'queued' AND seq < :seq
          AND submitted_by = :submitted_by AND cancel_requested_at IS NULL
        LIMIT :most
    )
"""
"""How many jobs of a series and a submitter wait before a job, up to a number."""

NEWEST_FIRST = f"""
    SELECT other.job_id, other.step, coalesce(other.place, other.seq) AS place,
           {DEMAND.replace("request", "other.request")} AS demand
    FROM jobs AS own
    JOIN jobs AS other INDEXED BY jobs_queued_in_series
      ON other.series = own.series AND other.status = 'queued'
    WHERE own.job_id = :job_id AND own.newest_first AND other.newest_first
      AND other.handed_over_at IS NULL AND other.submitted_by = own.submitted_by
      AND other.executor = own.executor AND other.priority = own.priority
"""  # noqa: S608 - of this package's own constants

CANCEL_REQUEST = """
    SELECT detail FROM job_events JOIN jobs USING (job_id, attempt)
    WHERE job_id = :job_id AND event = 'cancel_requested'
    ORDER BY event_id DESC LIMIT 1
"""
"""The request to cancel the latest attempt of a job."""


@dataclass(frozen=True)
class Queued:
    """Jobs that are queued, and the bytes of their requests."""

    jobs: int
    request_bytes: int


NOTHING = Queued(0, 0)
"""No jobs."""


def supersede_older(tx: Transaction, job: NewJob, seq: int, at: str) -> Queued:
    """End the jobs that a new job supersedes, if it was submitted to do that; returns what they
    were.

    Those are queued jobs of its series, submitter, engine, tasks and limit that have a lower step
    and were submitted before it. What a cluster has is cancelled there later.
    """
    request = job.request
    if request.on_newer != SUPERSEDE or request.series is None or request.step is None:
        return NOTHING
    wanted = {
        "series": request.series,
        "step": request.step,
        "seq": seq,
        "submitted_by": job.submitted_by,
        "engine": job.engine,
        "limit": kind_of(job.engine, request).limit,
    }
    superseded = [
        row
        for row in tx.execute(OLDER, wanted)
        if set(orjson.loads(row["tasks"])) == set(request.tasks) and _supersede(tx, row, job, at)
    ]
    return Queued(len(superseded), sum(row["request_bytes"] for row in superseded))


def require_freed(freed: Iterable[Queued], wanted: Queued) -> None:
    """Raise QueueFull if new jobs superseded less than they have to."""
    found = list(freed)
    if (
        sum(each.jobs for each in found) < wanted.jobs
        or sum(each.request_bytes for each in found) < wanted.request_bytes
    ):
        raise QueueFull("the queue is full, and too few of its jobs are superseded")


def require_room(tx: Transaction, job: NewJob, max_waiting: int, seq: int) -> None:
    """Raise SeriesFull if more than ``max_waiting`` jobs of a new job's series and submitter, with
    it, are queued and not to be cancelled."""
    series = job.request.series
    wanted = {"series": series, "submitted_by": job.submitted_by, "seq": seq, "most": max_waiting}
    waiting = tx.execute(WAITING, wanted)[0]["jobs"]
    if waiting >= max_waiting:
        raise SeriesFull(
            f"As many jobs of the series {series!r} wait as the operator allows (max_waiting is"
            f" {max_waiting})"
        )


def exchange_places(tx: Transaction, job_id: str) -> str | None:
    """Give a job that starts the place in the queue in which its series lets it start.

    The jobs of its series that are alike for placement have their places in the order of their
    steps, the newest first. The job which had the place gets that of this one; its id is returned.
    None if it starts in its own place, or is not queued.
    """
    rows = tx.execute(NEWEST_FIRST, {"job_id": job_id})
    alike = {row["job_id"]: _alike(row) for row in rows}
    rows = [row for row in rows if alike[row["job_id"]] == alike.get(job_id)]
    places = sorted(rows, key=lambda row: row["place"])
    steps = sorted(rows, key=lambda row: (-row["step"], row["place"]))
    for before, own in zip(places, steps, strict=True):
        if own["job_id"] == job_id and before["job_id"] != job_id:
            _set_place(tx, job_id, before["place"])
            _set_place(tx, before["job_id"], own["place"])
            return str(before["job_id"])
    return None


def reason_of_cancel(tx: Transaction, job_id: str) -> dict[str, Any]:
    """Return why the latest attempt of a job was to be cancelled, as the details of an event; empty
    if nobody said why."""
    rows = tx.execute(CANCEL_REQUEST, {"job_id": job_id})
    return dict(orjson.loads(rows[0]["detail"])) if rows else {}


def _alike(row: Row) -> tuple[int, bool]:
    demand = demand_of(row["demand"])
    return demand.num_gpus, demand.waits_for_checkpoint


def _set_place(tx: Transaction, job_id: str, place: int) -> None:
    sql = "UPDATE jobs SET place = :place WHERE job_id = :job_id"
    tx.execute(sql, {"job_id": job_id, "place": place})


def _supersede(tx: Transaction, older: Row, newer: NewJob, at: str) -> bool:
    """End a queued job for a newer one; False if it is being cancelled already."""
    reason = f"Superseded by job {newer.job_id} of step {newer.request.step}"
    columns: dict[str, Any]
    if older["handed_over_at"] is None:
        kind, columns = EventKind.CANCELLED, {"completed_at": at, "error": reason}
    elif older["cancel_requested_at"] is None:
        kind, columns = EventKind.CANCEL_REQUESTED, {"cancel_requested_at": at}
    else:
        return False
    detail = {"reason": reason, "superseded_by": newer.job_id}
    actor = newer.submitted_by
    transition(tx, Change(kind, older["job_id"], at, actor, columns=columns, detail=detail))
    return True
