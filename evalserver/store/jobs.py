"""The jobs table: every deed that changes a job, as a unit of work, and every question about it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from evalserver.core.job import Job, Metric, Outcome
from evalserver.core.lifecycle import EventKind, Status
from evalserver.core.request import EvaluateRequest
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import REQUEST_BYTES, Change, transition
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.stored_request import DamagedRequest, parse_request
from evalserver.store.transaction import Row, Transaction

SERVER = "server"
"""The actor of what the server does by itself."""

RECORD = (
    "SELECT *, (SELECT max(event_id) FROM job_events WHERE job_events.job_id = jobs.job_id)"
    " AS event_id FROM jobs"
)
"""A job's record, of the same moment as its newest event."""

T = TypeVar("T")

UNREADABLE_REQUEST = EvaluateRequest(model="unreadable", tasks=("unreadable",))
"""Stands for a request that is damaged."""

OF_AN_END = (
    "completed_at", "finish_number", "cancel_requested_at", "exit_code", "error", "result",
    "provenance",
)  # fmt: skip
"""The columns that say how a job ended."""


@dataclass(frozen=True)
class Claim:
    """What a job gets when its attempt is claimed."""

    job_id: str
    at: str
    run_dir: str
    output_dir: str


@dataclass(frozen=True)
class Queued:
    """Jobs that are queued, and the bytes of their requests."""

    jobs: int
    request_bytes: int


def prioritize(tx: Transaction, job_id: str, priority: int, at: str, actor: str) -> None:
    """Give a queued job another priority; the one that it has changes nothing.

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


def require_first(tx: Transaction, job_id: str) -> None:
    """Raise IllegalTransition when a queued job comes before this one.

    Those with ``wait_for_path_s`` let others go before, as long as their checkpoints are not there.
    A request that is damaged waits for nothing.
    """
    rows = tx.execute(
        "SELECT job_id, priority, seq FROM jobs"
        " WHERE status = 'queued' AND CASE WHEN json_valid(request)"
        " THEN json_extract(request, '$.wait_for_path_s') END IS NULL"
        " ORDER BY priority DESC, seq LIMIT 1"
    )
    if not rows or rows[0]["job_id"] == job_id:
        return
    own = tx.execute("SELECT priority, seq FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    if own and _place(rows[0]) < _place(own[0]):
        raise IllegalTransition(f"job {job_id} is not next: {rows[0]['job_id']} is before it")


def claim(tx: Transaction, claim: Claim, attempt: int) -> None:
    """Start attempt number ``attempt`` of a queued job: it runs from now on.

    Raises IllegalTransition when the job is not queued, or when this attempt has begun before.
    """
    _require_next(tx, claim.job_id, attempt)
    transition(
        tx,
        Change(
            EventKind.CLAIMED,
            claim.job_id,
            claim.at,
            SERVER,
            columns={
                "attempt": attempt,
                "started_at": claim.at,
                "run_dir": claim.run_dir,
                "output_dir": claim.output_dir,
            },
            detail={"run_dir": claim.run_dir},
        ),
    )


def reattach(tx: Transaction, job_id: str, at: str) -> None:
    """Note that a restarted server found a job's attempt again."""
    transition(tx, Change(EventKind.REATTACHED, job_id, at, SERVER))


def cancel_queued(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """End a job that has not started. Raises IllegalTransition when it is not queued any more."""
    _require(tx, job_id, Status.QUEUED)
    transition(tx, Change(EventKind.CANCELLED, job_id, at, actor, columns={"completed_at": at}))


def request_cancel(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Note that a running job is to be stopped; asking again changes nothing more."""
    rows = tx.execute(
        "SELECT cancel_requested_at FROM jobs WHERE job_id = :job_id AND status = 'running'",
        {"job_id": job_id},
    )
    if rows and rows[0]["cancel_requested_at"] is not None:
        return
    columns = {"cancel_requested_at": at}
    transition(tx, Change(EventKind.CANCEL_REQUESTED, job_id, at, actor, columns=columns))


def interrupt(tx: Transaction, job_id: str, at: str, reason: str) -> None:
    """Put a job whose attempt was lost back into the queue, at the place that it had."""
    transition(
        tx,
        Change(EventKind.INTERRUPTED, job_id, at, SERVER, detail={"reason": reason}),
    )


def finish(tx: Transaction, job_id: str, at: str, outcome: Outcome) -> None:
    """Write how a running job ended, with its numbers."""
    _require(tx, job_id, Status.RUNNING)
    columns: dict[str, Any] = {
        "completed_at": outcome.completed_at,
        "exit_code": outcome.exit_code,
        "error": outcome.error,
        "result": None if outcome.result is None else json_text(outcome.result),
    }
    if outcome.provenance is not None:
        columns["provenance"] = json_text(outcome.provenance)
    detail = {"exit_code": outcome.exit_code, "error": _first_line(outcome.error)}
    kind = EventKind(outcome.status.value)
    transition(tx, Change(kind, job_id, at, SERVER, columns=columns, detail=detail))
    for metric in outcome.metrics:
        _insert_metric(tx, job_id, metric)


def retry(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Put a finished job back into the queue, at the place that it had, for a further attempt.

    What its last attempt came to moves from the job's record to the event.
    Raises IllegalTransition when the job has not finished.
    """
    rows = tx.execute(f"{RECORD} WHERE job_id = :job_id", {"job_id": job_id})
    job = job_of(rows[0]) if rows else None
    columns: dict[str, Any] = dict.fromkeys(OF_AN_END)
    detail: dict[str, Any] = {}
    if job is not None:
        # As many attempts as it was given at first, beyond those that it has made.
        columns["max_attempts"] = job.attempt + job.request.max_attempts
        detail = _end_of(job)
        columns["provenance"] = _of_the_submission(job)
    transition(tx, Change(EventKind.RETRIED, job_id, at, actor, columns=columns, detail=detail))
    tx.execute("DELETE FROM metrics WHERE job_id = :job_id", {"job_id": job_id})


async def get(readers: Readers, job_id: str) -> Job | None:
    """The job's record, or None when there is none (any more)."""
    row = await readers.look_up(f"{RECORD} WHERE job_id = :job_id", {"job_id": job_id})
    return None if row is None else job_of(row)


async def was_known(readers: Readers, job_id: str) -> bool:
    """Did a job of this id ever exist?"""
    sql = (
        "SELECT 1 FROM job_events WHERE job_id = :job_id AND event <> 'archived'"
        " UNION ALL SELECT 1 FROM archived_jobs WHERE job_id = :job_id LIMIT 1"
    )
    return await readers.look_up(sql, {"job_id": job_id}) is not None


async def run_dir(readers: Readers, job_id: str, attempt: int) -> Path | None:
    """The run directory that an attempt was given when it was claimed; None if it was not."""
    rows = await readers.fetch(
        "SELECT json_extract(detail, '$.run_dir') AS run_dir FROM job_events"
        " WHERE job_id = :job_id AND event = 'claimed' AND attempt = :attempt",
        {"job_id": job_id, "attempt": attempt},
    )
    return Path(rows[0]["run_dir"]) if rows else None


async def running(readers: Readers) -> list[Job]:
    """The jobs that run, in the order of their start."""
    rows = await readers.fetch(f"{RECORD} WHERE status = 'running' ORDER BY started_at, seq")
    return [job_of(row) for row in rows]


async def queued(readers: Readers) -> list[tuple[str, int, int]]:
    """Id, priority and submission number of every queued job, in the order of the queue."""
    rows = await readers.fetch(
        "SELECT job_id, priority, seq FROM jobs WHERE status = 'queued' ORDER BY priority DESC, seq"
    )
    return [(row["job_id"], row["priority"], row["seq"]) for row in rows]


async def queued_by_submitter(readers: Readers) -> dict[str, Queued]:
    """How many jobs of each submitter are queued, and the bytes of their requests."""
    rows = await readers.fetch(
        f"SELECT submitted_by, count(*) AS jobs, sum({REQUEST_BYTES}) AS bytes"  # noqa: S608
        " FROM jobs WHERE status = 'queued' GROUP BY submitted_by"
    )
    return {row["submitted_by"]: Queued(row["jobs"], row["bytes"]) for row in rows}


async def oldest_queued(readers: Readers) -> str | None:
    """When the earliest submission that is queued was made; None when nothing is queued."""
    # From priority to priority, and the first of each: a step for every priority that is there,
    # however many jobs are.
    rows = await readers.fetch(
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


async def all_ids(readers: Readers) -> set[str]:
    """The ids of all jobs that the store keeps."""
    return {row["job_id"] for row in await readers.fetch("SELECT job_id FROM jobs")}


async def pruned_among(readers: Readers, job_ids: list[str]) -> list[str]:
    """Those of the ids that belong to pruned jobs."""
    rows = await readers.fetch(
        "SELECT job_id FROM job_events WHERE event = 'pruned'"
        " AND job_id IN (SELECT value FROM json_each(:job_ids))"
        # Every archived job is a pruned one.
        " UNION SELECT job_id FROM archived_jobs"
        " WHERE job_id IN (SELECT value FROM json_each(:job_ids))",
        {"job_ids": json_text(job_ids)},
    )
    return [row["job_id"] for row in rows]


async def count_by_status(readers: Readers) -> dict[Status, int]:
    """How many jobs the store keeps in each state."""
    rows = await readers.fetch("SELECT status, jobs FROM job_counts")
    counts = {row["status"]: int(row["jobs"]) for row in rows}
    return {status: counts[status.value] for status in Status}


def _require(tx: Transaction, job_id: str, status: Status) -> None:
    rows = tx.execute(
        "SELECT 1 FROM jobs WHERE job_id = :job_id AND status = :status",
        {"job_id": job_id, "status": status.value},
    )
    if not rows:
        raise IllegalTransition(f"job {job_id} is not {status}")


def _require_next(tx: Transaction, job_id: str, attempt: int) -> None:
    """A claim that goes by an old record would begin an attempt once more, in its directory."""
    rows = tx.execute("SELECT attempt FROM jobs WHERE job_id = :job_id", {"job_id": job_id})
    if rows and rows[0]["attempt"] != attempt - 1:
        begun = rows[0]["attempt"]
        raise IllegalTransition(f"job {job_id} has begun {begun} attempts, not {attempt - 1}")


def _place(row: Row) -> tuple[int, int]:
    """Where a job is in the queue, compared with others."""
    return -row["priority"], row["seq"]


def _insert_metric(tx: Transaction, job_id: str, metric: Metric) -> None:
    tx.execute(
        """
        INSERT INTO metrics (job_id, task, metric, filter, value, stderr, n, higher_is_better)
        VALUES (:job_id, :task, :metric, :filter, :value, :stderr, :n, :higher_is_better)
        """,
        {"job_id": job_id, **asdict(metric)},
    )


def job_of(row: Row) -> Job:
    """The job in a row of ``RECORD``; what cannot be read of it is left out, and said."""
    damage: list[str] = []
    return Job(
        seq=row["seq"],
        job_id=row["job_id"],
        status=Status(row["status"]),
        engine=row["engine"],
        priority=row["priority"],
        labels=_readable(row, "labels", _object, damage) or {},
        request=_readable(row, "request", parse_request, damage) or UNREADABLE_REQUEST,
        submitted_by=row["submitted_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        cancel_requested_at=row["cancel_requested_at"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        run_dir=row["run_dir"],
        output_dir=row["output_dir"],
        exit_code=row["exit_code"],
        error=row["error"],
        result=_readable(row, "result", _object, damage),
        provenance=_readable(row, "provenance", _object, damage),
        event_id=row["event_id"],
        damage="; ".join(damage) or None,
    )


def _readable(row: Row, column: str, parse: Callable[[str], T], damage: list[str]) -> T | None:
    """The value of a column; None if there is none, or none that can be read.

    A stranger may have written there: one damaged record must not hide all others.
    """
    text = row[column]
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, TypeError, DamagedRequest) as error:
        damage.append(f"its column {column} cannot be read ({error})")
        return None


def _object(text: str) -> dict[str, Any]:
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise TypeError("it is not an object")
    return value


def _end_of(job: Job) -> dict[str, Any]:
    result = job.result or {}
    return {
        "completed_at": job.completed_at,
        "exit_code": job.exit_code,
        "error": _first_line(job.error),
        "metrics": {model: files.get("metrics") for model, files in result.items()},
    }


def _of_the_submission(job: Job) -> str | None:
    """What the record has of a job's checkpoints as they were when it was submitted."""
    submitted = (job.provenance or {}).get("checkpoints", {}).get("submitted")
    return json_text({"checkpoints": {"submitted": submitted}}) if submitted else None


def _first_line(text: str | None) -> str | None:
    return None if text is None else text.splitlines()[0][:500]
