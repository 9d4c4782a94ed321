"""Running jobs that stall: that write nothing and use no GPU for a time."""

from evalserver.core.job import Job
from evalserver.core.lifecycle import SERVER, EventKind
from evalserver.store.errors import IllegalTransition
from evalserver.store.events import Change, transition
from evalserver.store.readers import Readers
from evalserver.store.transaction import Transaction


def stall(tx: Transaction, job_id: str, at: str, since: str, *, fails: bool) -> None:
    """Record that a running job has been inactive since a time; a repeated one changes nothing.

    ``fails``: it is stopped for that, and fails. This is decided once, here.
    """
    if _stalled_since(tx, job_id) is not None:
        return
    detail = {"since": since, "fails": fails}
    columns = {"stalled_since": since}
    transition(tx, Change(EventKind.STALLED, job_id, at, SERVER, columns=columns, detail=detail))


def end_stall(tx: Transaction, job_id: str, at: str) -> None:
    """Record that a stalled job is active again; of one that has not stalled, change nothing."""
    since = _stalled_since(tx, job_id)
    if since is None:
        return
    columns, detail = {"stalled_since": None}, {"since": since}
    change = Change(EventKind.ACTIVE_AGAIN, job_id, at, SERVER, columns=columns, detail=detail)
    transition(tx, change)


async def count_stalled(readers: Readers) -> int:
    """How many running jobs have stalled."""
    rows = await readers.fetch(
        "SELECT count(*) AS stalled FROM jobs"
        " WHERE status = 'running' AND stalled_since IS NOT NULL"
    )
    return int(rows[0]["stalled"])


async def fails_for_stall(readers: Readers, job: Job) -> bool:
    """Whether it was decided that the job's current attempt is stopped, and fails."""
    if job.stalled_since is None:
        return False
    rows = await readers.fetch(
        "SELECT json_extract(detail, '$.fails') AS fails FROM job_events"
        " WHERE job_id = :job_id AND event = 'stalled' ORDER BY event_id DESC LIMIT 1",
        {"job_id": job.job_id},
    )
    return bool(rows and rows[0]["fails"])


def _stalled_since(tx: Transaction, job_id: str) -> str | None:
    """Raises IllegalTransition when the job is not running."""
    rows = tx.execute(
        "SELECT stalled_since FROM jobs WHERE job_id = :job_id AND status = 'running'",
        {"job_id": job_id},
    )
    if not rows:
        raise IllegalTransition(f"job {job_id} is not running")
    since: str | None = rows[0]["stalled_since"]
    return since
