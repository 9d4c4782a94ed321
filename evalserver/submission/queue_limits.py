"""How many jobs may wait: of all, and of one token."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from evalserver.auth.access import ANONYMOUS
from evalserver.core.lifecycle import Status
from evalserver.store import CommittedEvent
from evalserver.submission.rejection import Reason, Rejected

RETRY_AFTER_SECONDS = 30


class QueueLimits:
    """Counts what waits as the store's events tell, and what is on its way into the queue."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._waiting: Counter[str] = Counter()
        self._all = 0

    def begin_with(self, waiting: Mapping[str, int]) -> None:
        """Take over how many jobs of each submitter wait when the server starts."""
        self._waiting.update(waiting)
        self._all = self._waiting.total()

    def on_event(self, event: CommittedEvent) -> None:
        """Count a change of a job; a listener of the store."""
        if event.after is Status.QUEUED:
            self._add(event.submitted_by, 1)
        elif event.before is Status.QUEUED:
            self._add(event.submitted_by, -1)

    @contextmanager
    def reserve(self, submitter: str) -> Iterator[Rejected | None]:
        """Reserve a place in the queue for the block, in which a job is written.

        Yields a rejection when the queue is full.
        """
        full = self._full(submitter)
        if full is not None:
            yield full
            return
        self._add(submitter, 1)
        try:
            yield None
        finally:
            self._add(submitter, -1)

    def _full(self, submitter: str) -> Rejected | None:
        if self._all >= self._most:
            return _rejected(f"{self._all} jobs wait, which is all that may (max_queued_jobs)")
        # A server that asks nobody for a token cannot tell its clients apart.
        if submitter != ANONYMOUS and self._waiting[submitter] >= self._most_of_one:
            return _rejected(
                f"{self._waiting[submitter]} jobs of {submitter} wait, which is all that may of one"
                " token (max_queued_per_token)"
            )
        return None

    def _add(self, submitter: str, number: int) -> None:
        self._all += number
        self._waiting[submitter] += number
        if not self._waiting[submitter]:
            del self._waiting[submitter]


def _rejected(why: str) -> Rejected:
    return Rejected(
        Reason.QUEUE_FULL,
        f"The queue is full: {why}; the job was not accepted, try again later",
        retry_after_s=RETRY_AFTER_SECONDS,
    )
