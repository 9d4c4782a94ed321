"""The states of a job and the legal transitions between them, as data.

Every change of a job is one of the event kinds below. Each kind defines the states it may start
from and the state it leads to; the store writes only changes that this table allows.

    submitted --> queued --claimed--> running --completed / failed / cancelled--> finished
                    ^                    |                                           |
                    +----interrupted-----+   (the runner was lost)                   |
                    +----postponed-------+   (it started too late to overtake)       |
                    +----retried-----------------------------------------------------+  (on request)

On a cluster, an attempt begins with ``handed_over``, which leaves the job queued, and runs from
``started`` on. A job that was handed over may fail, be interrupted or be cancelled before it runs.
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
    """An attempt was claimed or has started on a cluster; its runner is running, or about to."""
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
    HANDED_OVER = "handed_over"
    STARTED = "started"
    REATTACHED = "reattached"
    STALLED = "stalled"
    ACTIVE_AGAIN = "active_again"
    CANCEL_REQUESTED = "cancel_requested"
    INTERRUPTED = "interrupted"
    POSTPONED = "postponed"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    JUDGED = "judged"
    PRUNED = "pruned"
    ERASED = "erased"


@dataclass(frozen=True)
class Transition:
    """The states that an event may start from, and the state that each leads to.

    None stands for a job that does not exist yet, or no longer.
    """

    moves: Mapping[Status | None, Status | None]
    begins_attempt: bool = False


def _transition(
    before: Status | None, after: Status | None, *, begins_attempt: bool = False
) -> Transition:
    return Transition(MappingProxyType({before: after}), begins_attempt)


def _from_each(states: frozenset[Status], after: Status | None) -> Transition:
    return Transition(MappingProxyType(dict.fromkeys(states, after)))


UNFINISHED = frozenset({Status.QUEUED, Status.RUNNING})

TRANSITIONS: Mapping[EventKind, Transition] = MappingProxyType(
    {
        EventKind.SUBMITTED: _transition(None, Status.QUEUED),
        EventKind.PRIORITIZED: _transition(Status.QUEUED, Status.QUEUED),
        EventKind.CLAIMED: _transition(Status.QUEUED, Status.RUNNING, begins_attempt=True),
        EventKind.HANDED_OVER: _transition(Status.QUEUED, Status.QUEUED, begins_attempt=True),
        EventKind.STARTED: _transition(Status.QUEUED, Status.RUNNING),
        EventKind.REATTACHED: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.STALLED: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.ACTIVE_AGAIN: _transition(Status.RUNNING, Status.RUNNING),
        EventKind.CANCEL_REQUESTED: Transition(
            MappingProxyType({status: status for status in UNFINISHED})
        ),
        EventKind.INTERRUPTED: _from_each(UNFINISHED, Status.QUEUED),
        # Its harness was not started: that would have delayed the job that it overtook.
        EventKind.POSTPONED: _transition(Status.RUNNING, Status.QUEUED),
        EventKind.COMPLETED: _transition(Status.RUNNING, Status.COMPLETED),
        EventKind.FAILED: _from_each(UNFINISHED, Status.FAILED),
        EventKind.CANCELLED: _from_each(UNFINISHED, Status.CANCELLED),
        EventKind.RETRIED: _from_each(FINISHED, Status.QUEUED),
        # A gate said whether its results are good enough; also of what is kept of a pruned job.
        EventKind.JUDGED: Transition(
            MappingProxyType({Status.COMPLETED: Status.COMPLETED, None: None})
        ),
        EventKind.PRUNED: _from_each(FINISHED, None),
        # What was kept of a pruned job was removed.
        EventKind.ERASED: _transition(None, None),
    }
)
"""The store further requires that a queued job was handed over before it starts, fails, is
interrupted, or has a cancel requested."""
