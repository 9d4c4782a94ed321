"""The states of a job and the legal moves between them: pure data.

Every change of a job is one of the kinds of event below; each kind says which states it may start
from and which state it leads to. The store writes a change only as this table allows.

    submitted --> queued --claimed--> running --completed / failed / cancelled--> finished
                    ^                    |                                           |
                    +----interrupted-----+   (the runner was lost)                   |
                    +----retried-----------------------------------------------------+  (on request)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """What a job is doing."""

    QUEUED = "queued"
    """Waiting for its turn."""
    RUNNING = "running"
    """An attempt was claimed for it; its runner works, or is about to."""
    COMPLETED = "completed"
    """Finished, with results."""
    FAILED = "failed"
    """Finished, without results; ``error`` says why."""
    CANCELLED = "cancelled"
    """Ended on request."""


FINISHED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
"""The terminal states."""


class EventKind(StrEnum):
    """What can happen to a job; the word that the audit log uses for it."""

    SUBMITTED = "submitted"
    PRIORITIZED = "prioritized"
    CLAIMED = "claimed"
    REATTACHED = "reattached"
    CANCEL_REQUESTED = "cancel_requested"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Transition:
    """From which states an event may start, and where it leads; None: no job yet, or no more."""

    before: frozenset[Status | None]
    after: Status | None


def _move(before: Status | None, after: Status | None) -> Transition:
    return Transition(frozenset({before}), after)


TRANSITIONS: Mapping[EventKind, Transition] = MappingProxyType(
    {
        EventKind.SUBMITTED: _move(None, Status.QUEUED),
        EventKind.PRIORITIZED: _move(Status.QUEUED, Status.QUEUED),
        EventKind.CLAIMED: _move(Status.QUEUED, Status.RUNNING),
        EventKind.REATTACHED: _move(Status.RUNNING, Status.RUNNING),
        EventKind.CANCEL_REQUESTED: _move(Status.RUNNING, Status.RUNNING),
        EventKind.INTERRUPTED: _move(Status.RUNNING, Status.QUEUED),
        EventKind.COMPLETED: _move(Status.RUNNING, Status.COMPLETED),
        EventKind.FAILED: _move(Status.RUNNING, Status.FAILED),
        EventKind.CANCELLED: Transition(
            frozenset({Status.QUEUED, Status.RUNNING}), Status.CANCELLED
        ),
        EventKind.RETRIED: Transition(FINISHED, Status.QUEUED),
        EventKind.PRUNED: Transition(frozenset(FINISHED), None),
    }
)
