"""The states of a job and the legal transitions between them, as data.

Every change of a job is one of the event kinds below. Each kind defines the states it may start
from and the state it leads to; the store writes only changes that this table allows.

    submitted --> queued --claimed--> running --completed / failed / cancelled--> finished
                    ^                    |                                           |
                    +----interrupted-----+   (the runner was lost)                   |
                    +----retried-----------------------------------------------------+  (on request)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

SERVER = "server"
"""The actor of what the server does by itself."""


class Status(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    """Waiting for its turn."""
    RUNNING = "running"
    """An attempt was claimed; its runner is running, or about to start."""
    COMPLETED = "completed"
    """Finished, with results."""
    FAILED = "failed"
    """Finished, without results; ``error`` says why."""
    CANCELLED = "cancelled"
    """Ended on request."""


FINISHED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
"""The terminal states."""


class EventKind(StrEnum):
    """What can happen to a job, under the name that the audit log uses."""

    SUBMITTED = "submitted"
    PRIORITIZED = "prioritized"
    CLAIMED = "claimed"
    REATTACHED = "reattached"
    STALLED = "stalled"
    ACTIVE_AGAIN = "active_again"
    CANCEL_REQUESTED = "cancel_requested"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    PRUNED = "pruned"
    ERASED = "erased"


@dataclass(frozen=True)
class Transition:
    """The states that an event may start from, and the state that it leads to.

    None stands for a job that does not exist yet, or no longer.
    """

    before: frozenset[Status | None]
    after: Status | None


def _transition(before: Status | None, after: Status | None) -> Transition:
    return Transition(frozenset({before}), after)


TRANSITIONS: Mapping[EventKind, Transition] = MappingProxyType(
    {
        EventKind.SUBMITTED: _transition(None, Status.QUEUED),
        EventKind.PRIORITIZED: _transition(Status.QUEUED, Status.QUEUED),
        EventKind.CLAIMED: _transition(Status.QUEUED, Status.RUNNING),
        EventKind.REATTACHED: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.STALLED: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.ACTIVE_AGAIN: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.CANCEL_REQUESTED: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.INTERRUPTED: _transition(Status.RUNNING, Status.QUEUED),
        EventKind.COMPLETED: _transition(Status.RUNNING, Status.COMPLETED),
        EventKind.FAILED: _transition(Status.RUNNING, Status.FAILED),
        EventKind.CANCELLED: Transition(
            frozenset({Status.QUEUED, Status.RUNNING}), Status.CANCELLED
        ),
        EventKind.RETRIED: Transition(FINISHED, Status.QUEUED),
        EventKind.PRUNED: Transition(frozenset(FINISHED), None),
        # What was kept of a pruned job was removed.
        EventKind.ERASED: _transition(None, None),
    }
)
