"""Rows of the table ``jobs`` as jobs."""

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from evalserver.core.job import Failure, Job
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.core.result_check import CheckStatus, Finding, FindingCode, ResultCheck
from evalserver.store.stored_request import DamagedRequest, parse_request
from evalserver.store.transaction import Row

RECORD = (
    "SELECT *, coalesce(finish_number,"
    " (SELECT max(event_id) FROM job_events WHERE job_events.job_id = jobs.job_id))"
    " AS event_id FROM jobs"
)
"""A job's record, consistent with its newest event. Of a finished job, that is the event with which
it finished: a later verdict does not change the job."""

T = TypeVar("T")

UNREADABLE_REQUEST = EvaluateRequest(model="unreadable", tasks=("unreadable",))
"""Stands for a request that is damaged."""


def job_of(row: Row) -> Job:
    """The job in a row of ``RECORD``; unreadable parts are omitted, and reported."""
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
        result_check=result_check_of(row, damage),
        failure=_failure(row),
        partial=_readable(row, "partial", _object, damage),
        gpus=_readable(row, "gpus", _strings, damage),
        stalled_since=row["stalled_since"],
        executor=row["executor"],
        handed_over_at=row["handed_over_at"],
        batch_id=row["batch_id"],
        series=row["series"],
        step=row["step"],
        damage="; ".join(damage) or None,
    )


def _readable(row: Row, column: str, parse: Callable[[str], T], damage: list[str]) -> T | None:
    """The value of a column; None if it is empty or unreadable.

    Another program may have written it: one damaged record must not hide all others.
    """
    text = row[column]
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, TypeError, DamagedRequest) as error:
        damage.append(f"its column {column} cannot be read ({error})")
        return None


def result_check_of(row: Row, damage: list[str]) -> ResultCheck | None:
    """The result check in a row of a job or a pruned job.

    Unreadable findings are omitted, and added to ``damage``.
    """
    if row["result_status"] is None:
        return None
    findings = _readable(row, "findings", _parse_findings, damage) or ()
    return ResultCheck(CheckStatus(row["result_status"]), findings)


def _parse_findings(text: str) -> tuple[Finding, ...]:
    """The findings in a column. Raises ValueError or TypeError for other text."""
    try:
        return tuple(
            Finding(each["task"], FindingCode(each["code"]), each["message"])
            for each in orjson.loads(text)
        )
    except KeyError as error:
        raise TypeError(f"a finding has no {error}") from None


def _failure(row: Row) -> Failure | None:
    code = row["failure_code"]
    return None if code is None else Failure(code, row["failure_advice"] or "")


def _object(text: str) -> dict[str, Any]:
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise TypeError("it is not an object")
    return value


def _strings(text: str) -> tuple[str, ...]:
    value = orjson.loads(text)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError("it is not a list of strings")
    return tuple(value)
