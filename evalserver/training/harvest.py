"""The results that have been fetched and not been collected yet."""

from collections import deque
from threading import Lock

from evalserver.client import EvalClient
from evalserver.training.evaluation import Evaluation

MAX_FETCHED = 10_000
"""With as many, nothing more is fetched: the training does not collect them."""


class Harvest:
    """Finished evaluations of a series, and how far they have been collected.

    One thread fetches, others collect.
    """

    def __init__(self, series: str) -> None:
        self._series = series
        self._lock = Lock()
        self._fetched: deque[Evaluation] = deque()
        self._fetched_to: str | None = None
        self._taken_to: str | None = None
        self._restarts = 0

    def __len__(self) -> int:
        return len(self._fetched)

    @property
    def cursor(self) -> str | None:
        """The cursor after the last evaluation that was collected; None before the first."""
        return self._taken_to

    def fetch(self, client: EvalClient) -> None:
        """Fetch what has finished. Raises RequestFailed and ServerUnreachable."""
        with self._lock:
            cursor, restarts, is_full = (
                self._fetched_to,
                self._restarts,
                len(self._fetched) >= MAX_FETCHED,
            )
        if is_full:
            return
        jobs, cursor = client.completed_since(cursor, series=self._series)
        with self._lock:
            if restarts == self._restarts:
                self._fetched.extend(map(Evaluation, jobs))
                self._fetched_to = cursor

    def take(self) -> list[Evaluation]:
        """Return what has been fetched, each evaluation once."""
        with self._lock:
            taken = list(self._fetched)
            self._fetched.clear()
            self._taken_to = self._fetched_to
            return taken

    def go_on_from(self, cursor: str | None) -> None:
        """Fetch again what came after the cursor. Raises ValueError if it is none."""
        is_cursor = isinstance(cursor, str) and cursor.isascii() and cursor.isdigit()
        if not (cursor is None or is_cursor):
            raise ValueError(f"{cursor!r} is not a cursor")
        with self._lock:
            self._fetched.clear()
            self._fetched_to = self._taken_to = cursor
            self._restarts += 1
