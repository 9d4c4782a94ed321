"""The verdicts of gates: kept and read. Each is also an event of the audit log, without numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.core.lifecycle import EventKind, Status
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import REMOVED_FACTS, Change, Happened, record, transition
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row, Transaction

NEWEST_VERDICT = 1 << 62
"""Above every id."""

COLUMNS = (
    "job_id", "attempt", "series", "step", "baseline_id", "policy", "by_series", "verdict",
    "reason", "at", "actor", "report",
)  # fmt: skip

INSERT = f"""
    INSERT INTO gate_verdicts ({", ".join(COLUMNS)})
    VALUES ({", ".join(f":{name}" for name in COLUMNS)})
    RETURNING *
"""  # noqa: S608 - of this module's own constants

OF_SERIES_GATE = """
    SELECT * FROM gate_verdicts INDEXED BY gate_verdicts_once
    WHERE job_id = :job_id AND attempt = :attempt AND policy = :policy AND by_series = 1
"""


@dataclass(frozen=True)
class NewVerdict:
    """A verdict to keep: of which attempt of which job, beside which baseline.

    ``policy`` is the name of the policy, None if a request contained it. ``by_series``: the gate of
    the job's series said it. ``report`` has all of its numbers.
    """

    job_id: str
    attempt: int
    series: str | None
    step: int | None
    baseline_id: str | None
    policy: str | None
    by_series: bool
    verdict: str
    reason: str
    report: Mapping[str, Any]


@dataclass(frozen=True)
class KeptVerdict:
    """A verdict that is kept, with its id, its time and who asked for it.

    ``report`` is None once the baseline was erased.
    """

    verdict_id: int
    job_id: str
    attempt: int
    series: str | None
    step: int | None
    baseline_id: str | None
    policy: str | None
    by_series: bool
    verdict: str
    reason: str
    at: str
    actor: str
    report: Mapping[str, Any] | None


def keep(tx: Transaction, new: NewVerdict, at: str, actor: str) -> KeptVerdict:
    """Keep a verdict, and write its event. One of a series' gate is kept once for each attempt and
    policy; again, it is the one that is there.

    Raises IllegalTransition if the job is not there, is not completed, or has made another attempt
    since.
    """
    if new.by_series:
        rows = tx.execute(OF_SERIES_GATE, vars(new) | {"report": None})
        if rows:
            return _kept(rows[0])
    values = {name: getattr(new, name, None) for name in COLUMNS}
    values |= {"at": at, "actor": actor, "report": json_text(dict(new.report))}
    kept = _kept(tx.execute(INSERT, values)[0])
    detail = {
        "verdict_id": kept.verdict_id,
        "verdict": new.verdict,
        "policy": new.policy,
        "baseline": new.baseline_id,
        "by_series": new.by_series,
    }
    _write_event(tx, Change(EventKind.JUDGED, new.job_id, at, actor, detail=detail), new.attempt)
    return kept


def erase_verdicts(tx: Transaction, job_id: str) -> None:
    """Remove the verdicts on a job, and its numbers from those beside it."""
    tx.execute(
        "DELETE FROM gate_verdicts INDEXED BY gate_verdicts_by_job WHERE job_id = :job_id",
        {"job_id": job_id},
    )
    tx.execute(
        "UPDATE gate_verdicts INDEXED BY gate_verdicts_by_baseline SET report = NULL"
        " WHERE baseline_id = :job_id",
        {"job_id": job_id},
    )


async def find_verdict(readers: Readers, verdict_id: int) -> KeptVerdict | None:
    """The verdict with this id; None if there is none (any more)."""
    row = await readers.look_up(
        "SELECT * FROM gate_verdicts WHERE verdict_id = :verdict_id", {"verdict_id": verdict_id}
    )
    return None if row is None else _kept(row)


async def verdicts(
    readers: Readers,
    most: int,
    before: int = NEWEST_VERDICT,
    job_id: str | None = None,
    series: Sequence[str] | None = None,
) -> list[KeptVerdict]:
    """The newest verdicts with an id below ``before``; of a job, of some series, or of
    all."""
    index, test = "", "verdict_id < :before"
    if series is not None:
        index = " INDEXED BY gate_verdicts_by_series"
        test += " AND series IN (SELECT value FROM json_each(:series))"
    if job_id is not None:
        index, test = " INDEXED BY gate_verdicts_by_job", f"{test} AND job_id = :job_id"
    rows = await readers.fetch(
        f"SELECT * FROM gate_verdicts{index} WHERE {test}"  # noqa: S608
        " ORDER BY verdict_id DESC LIMIT :most",
        {
            "most": most,
            "before": before,
            "job_id": job_id,
            "series": None if series is None else json_text(list(series)),
        },
    )
    return [_kept(row) for row in rows]


def _write_event(tx: Transaction, change: Change, attempt: int) -> None:
    """Write the event of a completed job, or of one that was pruned since."""
    rows = tx.execute("SELECT attempt FROM jobs WHERE job_id = :job_id", {"job_id": change.job_id})
    if rows:
        _require_attempt(rows[0], change.job_id, attempt)
        transition(tx, change)
        return
    rows = tx.execute(
        f"SELECT {REMOVED_FACTS} FROM pruned_jobs"  # noqa: S608
        " WHERE job_id = :job_id AND status = :completed",
        {"job_id": change.job_id, "completed": Status.COMPLETED.value},
    )
    if not rows:
        raise IllegalTransition(f"job {change.job_id} is not there, it cannot be {change.kind}")
    _require_attempt(rows[0], change.job_id, attempt)
    record(tx, [Happened(change, rows[0], None, None)])


def _require_attempt(row: Row, job_id: str, attempt: int) -> None:
    if row["attempt"] != attempt:
        raise IllegalTransition(
            f"job {job_id} has made attempt {row['attempt']} since attempt {attempt} was judged"
        )


def _kept(row: Row) -> KeptVerdict:
    report = row["report"]
    return KeptVerdict(
        **{
            **dict(row),
            "by_series": bool(row["by_series"]),
            "report": None if report is None else orjson.loads(report),
        }
    )
