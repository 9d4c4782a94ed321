"""What is kept of pruned jobs: their metrics, and a record without files, logs and secrets.

The record stays until an administrator erases it.
"""

from typing import Any

import orjson

from evalserver.core.job import Failure, Job
from evalserver.core.lifecycle import EventKind, Status
from evalserver.core.masking import mask_text, masked
from evalserver.core.request import EvaluateRequest
from evalserver.core.series import STEP, parse_step
from evalserver.store.durations import kind_of
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import REMOVED_FACTS, Change, Happened, record
from evalserver.store.gate_verdicts import erase_verdicts
from evalserver.store.gpu_usage import erase_usage
from evalserver.store.job_rows import RECORD, job_of, result_check_of
from evalserver.store.jobs import first_line
from evalserver.store.json_text import json_or_null, json_text
from evalserver.store.transaction import Row, Transaction

PRUNED_RECORD = """
    SELECT *, (SELECT max(event_id) FROM job_events WHERE job_events.job_id = pruned_jobs.job_id)
        AS event_id
    FROM pruned_jobs
"""


def keep_record(tx: Transaction, job_id: str, at: str) -> None:
    """Keep what stays of a finished job that is about to be pruned at ``at``."""
    rows = tx.execute(
        f"{RECORD} WHERE job_id = :job_id AND finish_number IS NOT NULL", {"job_id": job_id}
    )
    if not rows:
        return
    values = _values(rows[0], job_of(rows[0]), at)
    names = ", ".join(values)
    parameters = ", ".join(f":{name}" for name in values)
    tx.execute(f"INSERT INTO pruned_jobs ({names}) VALUES ({parameters})", values)  # noqa: S608


def erase(tx: Transaction, job_id: str, at: str, actor: str) -> None:
    """Remove the record, the metrics, the usage and the verdicts of a pruned job.

    Raises IllegalTransition when nothing is kept of such a job.
    """
    rows = tx.execute(
        f"DELETE FROM pruned_jobs WHERE job_id = :job_id RETURNING {REMOVED_FACTS}",  # noqa: S608
        {"job_id": job_id},
    )
    if not rows:
        raise IllegalTransition(f"nothing is kept of a pruned job {job_id}")
    erase_usage(tx, job_id)
    erase_verdicts(tx, job_id)
    record(tx, [Happened(Change(EventKind.ERASED, job_id, at, actor), rows[0], None, None)])


def pruned_job_of(row: Row) -> Job:
    """The job in a row of ``PRUNED_RECORD``, with what is kept of it."""
    labels: dict[str, str] = orjson.loads(row["labels"])
    limit, step = row["sample_limit"], parse_step(row["step"] or "")
    damage: list[str] = []
    return Job(
        seq=row["seq"],
        job_id=row["job_id"],
        status=Status(row["status"]),
        engine=row["engine"],
        priority=0,
        labels=labels,
        request=EvaluateRequest(
            model=row["model"],
            tasks=tuple(orjson.loads(row["tasks"])),
            model_args=_json_or_none(row["model_args"]),
            harness_args=_json_or_none(row["harness_args"]),
            limit=None if limit < 0 else int(limit) if limit >= 1 else limit,
            num_gpus=row["num_gpus"],
            labels=labels,
            series=row["series"],
            step=step,
        ),
        submitted_by=row["submitted_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        cancel_requested_at=None,
        attempt=row["attempt"],
        max_attempts=row["attempt"],
        run_dir=None,
        output_dir=None,
        exit_code=row["exit_code"],
        error=row["error"],
        result={name: {} for name in orjson.loads(row["model_names"])},
        provenance=_json_or_none(row["provenance"]),
        event_id=row["event_id"],
        result_check=result_check_of(row, damage),
        failure=None if row["failure_code"] is None else Failure(row["failure_code"], ""),
        pruned_at=row["pruned_at"],
        batch_id=row["batch_id"],
        series=row["series"],
        step=step,
        damage="; ".join(damage) or None,
    )


def _values(row: Row, job: Job, at: str) -> dict[str, Any]:
    kind = kind_of(job.engine, job.request)
    as_they_are = (
        "job_id", "seq", "status", "engine", "model", "submitted_by", "created_at", "started_at",
        "completed_at", "finish_number", "attempt", "exit_code", "failure_code", "result_status",
        "findings", "batch_id", "series",
    )  # fmt: skip
    return {
        **{name: row[name] for name in as_they_are},
        "model_args": json_or_null(masked(job.request.model_args)),
        "harness_args": json_or_null(masked(job.request.harness_args)),
        "model_names": json_text(list(job.result or {})),
        "tasks": row["tasks"],
        "labels": json_text(job.labels),
        "step": job.labels.get(STEP) if job.step is None else str(job.step),
        "sample_limit": kind.limit,
        "num_gpus": kind.num_gpus,
        "error": None if job.error is None else mask_text(first_line(job.error) or ""),
        "provenance": json_or_null(masked(job.provenance)),
        "pruned_at": at,
    }


def _json_or_none(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
