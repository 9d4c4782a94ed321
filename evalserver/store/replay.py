"""Replaying the audit log: the jobs' states derived from the events alone.

``lifecycle.TRANSITIONS`` defines which event may follow which; a new kind of event needs no change
here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.core.lifecycle import TRANSITIONS, Status, Transition
from evalserver.store.events import ARCHIVED, NO_JOB


@dataclass(frozen=True, slots=True)
class Replayed:
    """A job's state after its events, and the last of them."""

    status: Status
    attempt: int
    event_id: int


MOVES: Mapping[str, Transition] = {kind.value: move for kind, move in TRANSITIONS.items()}


class Replay:
    """Replays events in order. Keeps the existing jobs, not the pruned ones.

    If ``is_archived`` is true of a job, its first events are in an archive: it is assumed to be in
    the state from which its first event here starts.
    """

    def __init__(self, is_archived: Callable[[str], bool] = lambda job_id: False) -> None:
        self._jobs: dict[str, Replayed] = {}
        self._is_archived = is_archived

    def play(self, event: Mapping[str, Any]) -> str | None:
        """Replay the next event. Returns why it is invalid, or None."""
        if event["event"] == ARCHIVED:
            return None if event["job_id"] == NO_JOB else "it is of a job, and concerns the log"
        move = MOVES.get(event["event"])
        if move is None:
            return f"{event['event']!r} is no kind of event that this evalserver knows"
        job = self._jobs.get(event["job_id"]) or self._left_by_archive(event, move)
        fault = _wrong_move(event, move, job) or _wrong_attempt(event, move, job)
        if fault is None:
            self._remember(event, move)
        return fault

    def take(self, job_id: str) -> Replayed | None:
        """Remove and return a job's state according to the log, or None if it is not in the log."""
        return self._jobs.pop(job_id, None)

    def left(self) -> Iterator[tuple[str, Replayed]]:
        """The jobs that were not taken, each with its id."""
        yield from self._jobs.items()

    def _left_by_archive(self, event: Mapping[str, Any], move: Transition) -> Replayed | None:
        if event["from_status"] not in set(Status) or not self._is_archived(event["job_id"]):
            return None
        attempt = event["attempt"] - move.begins_attempt
        return Replayed(Status(event["from_status"]), attempt, 0)

    def _remember(self, event: Mapping[str, Any], move: Transition) -> None:
        if event["to_status"] is None:
            self._jobs.pop(event["job_id"], None)
            return
        after = Status(event["to_status"])
        self._jobs[event["job_id"]] = Replayed(after, event["attempt"], event["event_id"])


def _wrong_move(event: Mapping[str, Any], move: Transition, job: Replayed | None) -> str | None:
    before = None if job is None else job.status
    if before not in move.moves:
        if job is None:
            return "there is no such job at this point: never submitted, or pruned"
        return f"a job that is {before} cannot be {event['event']}"
    after = move.moves[before]
    if (event["from_status"], event["to_status"]) != (before, after):
        said = _arrow(event["from_status"], event["to_status"])
        return f"it says {said}, where the log leads {_arrow(before, after)}"
    return None


def _wrong_attempt(event: Mapping[str, Any], move: Transition, job: Replayed | None) -> str | None:
    if job is None and move.moves[None] is None:
        return None  # of a pruned job, whose attempts are not remembered
    expected = (0 if job is None else job.attempt) + move.begins_attempt
    if event["attempt"] != expected:
        return f"it says attempt {event['attempt']}, where the log leads to attempt {expected}"
    return None


def _arrow(before: object, after: object) -> str:
    return f"from {before or 'no job'} to {after or 'no job'}"
