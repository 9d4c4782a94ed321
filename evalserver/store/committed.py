"""What the store tells once it is on disk: to listeners each event, to watchers each commit."""

from collections.abc import Callable
from dataclasses import dataclass

from evalserver.core.lifecycle import EventKind, Status


@dataclass(frozen=True)
class CommittedEvent:
    """A change of a job that is on disk: what listeners of the store are told."""

    event_id: int
    kind: EventKind
    job_id: str
    seq: int
    priority: int
    before: Status | None
    after: Status | None
    engine: str
    attempt: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    submitted_by: str
    request_bytes: int
    """What the job's request takes in the database."""


Listener = Callable[[CommittedEvent], None]


@dataclass(frozen=True)
class Commit:
    """A transaction that became durable: how many units of work it had, and the seconds that
    its COMMIT took."""

    units: int
    seconds: float


Watcher = Callable[[Commit], None]
