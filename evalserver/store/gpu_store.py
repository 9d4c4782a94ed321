"""GPUs as the rest of the server sees them: who holds which, and which are quarantined.

Holds are written with the claim of a job, and removed by a trigger when it stops running.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evalserver.store import server_events
from evalserver.store.readers import Readers
from evalserver.store.server_events import ServerOperation
from evalserver.store.transaction import Transaction
from evalserver.store.writer import Writer


@dataclass(frozen=True)
class Hold:
    """Who holds a GPU: a job or a service, by its id; and since when."""

    kind: str
    holder_id: str
    since: str


@dataclass(frozen=True)
class Quarantine:
    """A quarantine: nothing is started on the GPU since then, by whom, and why."""

    since: str
    by: str
    reason: str


class GpuStore:
    """The part of a store that is about GPUs; every command returns once it is durable.

    Commands raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def holds(self) -> Mapping[str, Hold]:
        """Return who holds which GPU, by the id of the GPU."""
        rows = await self._readers.fetch("SELECT * FROM gpu_holds ORDER BY gpu")
        return {
            row["gpu"]: Hold(row["holder_kind"], row["holder_id"], row["since"]) for row in rows
        }

    async def quarantines(self) -> Mapping[str, Quarantine]:
        """Return which GPUs are quarantined, by their ids."""
        rows = await self._readers.fetch("SELECT * FROM gpu_quarantines ORDER BY gpu")
        return {row["gpu"]: Quarantine(row["since"], row["actor"], row["reason"]) for row in rows}

    async def quarantine(self, gpu: str, actor: str, reason: str) -> Quarantine:
        """Start nothing on a GPU from now on; again, it changes nothing except for a new reason."""
        return await self._writer.run(lambda tx: _quarantine(tx, gpu, self._now(), actor, reason))

    async def end_quarantine(self, gpu: str, actor: str) -> bool:
        """End a quarantine; False when there was none."""
        return await self._writer.run(lambda tx: _end_quarantine(tx, gpu, self._now(), actor))

    async def note_killed(self, gpu: str, actor: str, pid: int, job_id: str) -> None:
        """Record that a process which an ended job had left on a GPU was killed."""
        detail = {"gpu": gpu, "processes": {str(pid): job_id}}
        operation = ServerOperation.GPU_PROCESSES_KILLED
        await self._writer.run(
            lambda tx: server_events.append(tx, operation, self._now(), actor, detail)
        )


def _quarantine(tx: Transaction, gpu: str, at: str, actor: str, reason: str) -> Quarantine:
    rows = tx.execute("SELECT * FROM gpu_quarantines WHERE gpu = :gpu", {"gpu": gpu})
    if rows and rows[0]["reason"] == reason:
        return Quarantine(rows[0]["since"], rows[0]["actor"], reason)
    tx.execute(
        """
        INSERT INTO gpu_quarantines (gpu, since, actor, reason)
        VALUES (:gpu, :at, :actor, :reason)
        ON CONFLICT (gpu) DO UPDATE
        SET since = excluded.since, actor = excluded.actor, reason = excluded.reason
        """,
        {"gpu": gpu, "at": at, "actor": actor, "reason": reason},
    )
    detail = {"gpu": gpu, "reason": reason}
    server_events.append(tx, ServerOperation.GPU_QUARANTINED, at, actor, detail)
    return Quarantine(at, actor, reason)


def _end_quarantine(tx: Transaction, gpu: str, at: str, actor: str) -> bool:
    if not tx.execute("DELETE FROM gpu_quarantines WHERE gpu = :gpu RETURNING gpu", {"gpu": gpu}):
        return False
    server_events.append(tx, ServerOperation.GPU_QUARANTINE_ENDED, at, actor, {"gpu": gpu})
    return True
