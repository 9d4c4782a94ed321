"""The unfinished jobs, with what says which checkpoints they need."""

from typing import Any

import orjson

from evalserver.core.job import UnfinishedJob
from evalserver.core.lifecycle import Status
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row

UNFINISHED = """
    SELECT seq, job_id, status, attempt, max_attempts, series, step,
           CASE WHEN json_valid(request)
               THEN json_extract(request, '$.model_args', '$.lmms_engine_kwargs', '$.lease')
           END AS named
    FROM jobs
    WHERE seq IN (
        SELECT seq FROM jobs INDEXED BY jobs_by_status WHERE status = 'queued' AND seq > :after
        UNION ALL
        SELECT seq FROM jobs INDEXED BY jobs_by_status WHERE status = 'running' AND seq > :after
        ORDER BY seq LIMIT :most
    )
    ORDER BY seq
"""

MAX_PART = 1000


async def next_unfinished(readers: Readers, after: int) -> list[UnfinishedJob]:
    """The first jobs, queued and running, that were submitted after the one of seq ``after``.

    In the order of submission. Each part is read at one moment: a job that only changes between the
    two states is in it.
    """
    rows = await readers.fetch(UNFINISHED, {"after": after, "most": MAX_PART})
    return [_unfinished_job(row) for row in rows]


def _unfinished_job(row: Row) -> UnfinishedJob:
    # Another program may have damaged a request: one must not hide all others.
    model_args, merge, lease = orjson.loads(row["named"] or "[null, null, null]")
    return UnfinishedJob(
        seq=row["seq"],
        job_id=row["job_id"],
        status=Status(row["status"]),
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        series=row["series"],
        step=row["step"],
        model_args=_object(model_args),
        lmms_engine_kwargs=_object(merge),
        lease=lease if isinstance(lease, str) else None,
    )


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None
