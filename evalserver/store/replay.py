"""What the audit log alone says of the jobs: its events, played one after another.

Which event may follow which is read from ``lifecycle.TRANSITIONS``; a new kind of event needs no
change here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.core.lifecycle import TRANSITIONS, Status, Transition


@dataclass(frozen=True, slots=True)
class Replayed:
    """A job as its events leave it, and the last of them."""

    status: Status
    attempt: int
    event_id: int


MOVES: Mapping[str, Transition] = {kind.value: move for kind, move in TRANSITIONS.items()}


class Replay:
    """Plays events in their order. Remembers the jobs that are there, not those pruned since."""

    def __init__(self) -> None:
        self._jobs: dict[str, Replayed] = {}

    def play(self, event: Mapping[str, Any]) -> str | None:
        """Play the next event. Returns why it cannot be, or None when it can."""
        move = MOVES.get(event["event"])
        if move is None:
            return f"{event['event']!r} is no kind of event that this evalserver knows"
        job = self._jobs.get(event["job_id"])
        fault = _wrong_move(event, move, job) or _wrong_attempt(event, move, job)
        if fault is None:
            self._remember(event, move)
        return fault

    def take(self, job_id: str) -> Replayed | None:
        """A job as the log has it, or None when the log has none; it is forgotten then."""
        return self._jobs.pop(job_id, None)

    def left(self) -> Iterator[tuple[str, Replayed]]:
        """The jobs that nobody took, each with its id."""
        yield from self._jobs.items()

    def _remember(self, event: Mapping[str, Any], move: Transition) -> None:
        if move.after is None:
            del self._jobs[event["job_id"]]
            return
        self._jobs[event["job_id"]] = Replayed(move.after, event["attempt"], event["event_id"])


def _wrong_move(event: Mapping[str, Any], move: Transition, job: Replayed | None) -> str | None:
    before = None if job is None else job.status
    if before not in move.before:
        if job is None:
            return "there is no such job at this point: never submitted, or pruned"
        return f"a job that is {before} cannot be {event['event']}"
    if (event["from_status"], event["to_status"]) != (before, move.after):
        said = _arrow(event["from_status"], event["to_status"])
        return f"it says {said}, where the log leads {_arrow(before, move.after)}"
    return None


def _wrong_attempt(event: Mapping[str, Any], move: Transition, job: Replayed | None) -> str | None:
    begins = move.after is Status.RUNNING and Status.RUNNING not in move.before
    expected = (0 if job is None else job.attempt) + begins
    if event["attempt"] != expected:
        return f"it says attempt {event['attempt']}, where the log leads to attempt {expected}"
    return None


def _arrow(before: object, after: object) -> str:
    return f"from {before or 'no job'} to {after or 'no job'}"
