"""Notifications after a commit: each event to listeners, each commit to watchers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from evalserver.core.job import LOCAL, Demand, QueuedJob, SeriesStep
from evalserver.core.lifecycle import EventKind, Status


class CommittedEvent(NamedTuple):
    """A durable change of a job, as the store's listeners receive it."""

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
    """The size of the job's request in the database."""
    demand: Demand = Demand()
    gpus: tuple[str, ...] | None = None
    """The GPUs of the job's attempt, if it runs or ends with this event; None: it manages none."""
    start_by: float | None = None
    """The POSIX time until which its harness must start, if the event is that it was claimed."""
    failure: str | None = None
    """The code of the failure, if the event is that the job failed."""
    executor: str = LOCAL
    handed_over_at: str | None = None
    """When the job's attempt was handed over to a cluster; None if it was not."""
    place: int = 0
    """The job's place in the queue, as in ``QueuedJob``."""
    in_place_of: str | None = None
    """The job with which it exchanged places, if the event is that it was claimed or handed over.
    """
    newest_first: SeriesStep | None = None

    @property
    def queued(self) -> QueuedJob | None:
        """The job as the queue of the server has it; None if it is not, or no longer, in it."""
        if self.after is not Status.QUEUED or self.handed_over_at is not None:
            return None
        return QueuedJob(
            self.job_id,
            self.priority,
            self.place,
            self.submitted_by,
            self.demand,
            self.executor,
            self.newest_first,
        )


Listener = Callable[[CommittedEvent], None]


@dataclass(frozen=True)
class Commit:
    """A transaction that became durable: how many units of work it had, and the seconds that
    its COMMIT took."""

    units: int
    seconds: float


Watcher = Callable[[Commit], None]
