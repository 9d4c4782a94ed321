"""The checkpoints that the server does not have yet, in order of submission."""

import inspect
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from evalserver.client import EvalClient, RequestFailed
from evalserver.client.errors import Json

MAX_UNSENT = 1000
"""Beyond it, the oldest checkpoint is given up."""

REJECTED = frozenset({400, 409, 410, 413, 415, 422})
"""The server has understood the submission, and will never accept it. With any other error it may
be accepted later: a token can be created, a proxy can find its server again."""

NOT_FOR_A_RUN = {"self", "evaluate", "path", "step", "dry_run", "idempotency_key"}


@dataclass(frozen=True)
class Submission:
    """A checkpoint to be evaluated. ``fields`` are its own, beside those of all checkpoints."""

    path: str
    step: int
    fields: Mapping[str, Any]


class UnsentSubmissions:
    """A bounded queue; its methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._submissions: deque[Submission] = deque()

    def __len__(self) -> int:
        return len(self._submissions)

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints in it."""
        return [each.step for each in self._copy()]

    def first(self) -> Submission | None:
        """Return the oldest one, which stays in it; None if there is none."""
        with self._lock:
            return self._submissions[0] if self._submissions else None

    def append(self, submission: Submission) -> Submission | None:
        """Add one unless it is there. Returns the one that was given up for it, if any."""
        with self._lock:
            if submission in self._submissions:
                return None
            self._submissions.append(submission)
            return self._submissions.popleft() if len(self._submissions) > MAX_UNSENT else None

    def remove(self, submission: Submission) -> None:
        """Remove one, if it is still there."""
        with self._lock:
            if submission in self._submissions:
                self._submissions.remove(submission)

    def to_json(self) -> list[Json]:
        """Return all of them for the state of the run."""
        return [asdict(each) for each in self._copy()]

    def _copy(self) -> list[Submission]:
        with self._lock:
            return list(self._submissions)


def server_path(path: str | os.PathLike[str]) -> str:
    """Return the path, absolute if it exists; else it may name a repository."""
    return str(Path(path).absolute()) if Path(path).exists() else os.fspath(path)


def is_final(error: RequestFailed) -> bool:
    """Return whether sending the same submission again is useless."""
    return error.status in REJECTED


def require_known_fields(fields: Mapping[str, Any]) -> None:
    """Raise TypeError for a field that ``EvalClient.submit_checkpoint`` does not know."""
    unknown = sorted(set(fields) - known_fields())
    if unknown:
        raise TypeError(f"submit_checkpoint has no field {', '.join(map(repr, unknown))}")


def known_fields() -> set[str]:
    """Return the fields that a run may set for its checkpoints."""
    known = _parameters(EvalClient.submit_checkpoint) | _parameters(EvalClient.evaluate)
    return known - NOT_FOR_A_RUN


def _parameters(call: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(call).parameters)
