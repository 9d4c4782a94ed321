"""Quotas for queued jobs and the bytes of their requests: in total, and per token."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from evalserver.auth.access import ANONYMOUS
from evalserver.core.lifecycle import Status
from evalserver.store import NOTHING, CommittedEvent, Queued
from evalserver.submission.rejection import RETRY_AFTER_SECONDS, Reason, Rejected


@dataclass(frozen=True)
class Quota:
    """No job is accepted once so many jobs, or so many bytes of requests, are queued."""

    jobs: int
    request_bytes: int


@dataclass(frozen=True)
class Room:
    """Room in the queue, for jobs that must supersede at least ``must_free``; if they do not,
    ``full`` is their rejection."""

    must_free: Queued
    full: Rejected | None


NO_ROOM = Room(NOTHING, None)
"""What a submission needs that makes no job."""


@dataclass(frozen=True)
class _Shortage:
    """What the queue has too much of for another job, and by which quota."""

    of: Queued
    reason: str


class QueueLimits:
    """Counts queued jobs by the store's events, and jobs that are being written."""

    def __init__(self, total: Quota, per_token: Quota) -> None:
        self._total = total
        self._per_token = per_token
        self._jobs: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._all_jobs = 0
        self._all_bytes = 0

    def load(self, waiting: Mapping[str, Queued]) -> None:
        """Load the queued jobs of each submitter when the server starts."""
        for submitter, queued in waiting.items():
            self._add(submitter, queued.jobs, queued.request_bytes)

    def on_event(self, event: CommittedEvent) -> None:
        """Count a change of a job. A listener of the store."""
        is_queued = event.after is Status.QUEUED
        change = int(is_queued) - int(event.before is Status.QUEUED)
        if change:
            self._add(event.submitted_by, change, change * event.request_bytes)

    @contextmanager
    def reserve(
        self, submitter: str, *request_bytes: int, supersedes: bool = False
    ) -> Iterator[Room | Rejected]:
        """Reserve room in the queue for the block, in which jobs with requests of these sizes are
        written together.

        Yields a rejection when the last of them would find the queue full. If one ``supersedes``
        queued jobs, it yields room and how many these have to be.
        """
        shortages = list(self._find_shortages(submitter, request_bytes[:-1]))
        full = _queue_full(shortages[0].reason) if shortages else None
        if full is not None and not supersedes:
            yield full
            return
        freed = Queued(
            max([each.of.jobs for each in shortages], default=0),
            max([each.of.request_bytes for each in shortages], default=0),
        )
        jobs, size = len(request_bytes) - freed.jobs, sum(request_bytes) - freed.request_bytes
        self._add(submitter, jobs, size)
        try:
            yield Room(freed, full)
        finally:
            self._add(submitter, -jobs, -size)

    def _find_shortages(self, submitter: str, before: Sequence[int]) -> Iterator[_Shortage]:
        """Yield what a job lacks that comes after jobs of the sizes ``before``, by each quota."""
        jobs, size = len(before), sum(before)
        of_batch = f" and {jobs + 1} would come together" if jobs else ""
        if (over := self._all_jobs + jobs - self._total.jobs + 1) > 0:
            yield _Shortage(
                Queued(over, 0),
                f"{self._all_jobs} jobs are queued{of_batch}, the limit is max_queued_jobs",
            )
        if (over := self._all_bytes + size - self._total.request_bytes + 1) > 0:
            yield _Shortage(
                Queued(0, over),
                f"the requests of queued jobs have {self._all_bytes} bytes{of_batch}, the limit is"
                " max_queued_bytes",
            )
        # Without tokens, the server cannot tell its clients apart.
        if submitter == ANONYMOUS:
            return
        own_jobs, own_bytes = self._jobs[submitter], self._bytes[submitter]
        if (over := own_jobs + jobs - self._per_token.jobs + 1) > 0:
            yield _Shortage(
                Queued(over, 0),
                f"{own_jobs} jobs of {submitter} are queued{of_batch}, the limit of one token"
                " is max_queued_per_token",
            )
        if (over := own_bytes + size - self._per_token.request_bytes + 1) > 0:
            yield _Shortage(
                Queued(0, over),
                f"the requests of {submitter}'s queued jobs have {own_bytes} bytes{of_batch};"
                " the limit of one token is max_queued_bytes_per_token",
            )

    def _add(self, submitter: str, jobs: int, request_bytes: int) -> None:
        self._all_jobs += jobs
        self._all_bytes += request_bytes
        self._jobs[submitter] += jobs
        self._bytes[submitter] += request_bytes
        if not self._jobs[submitter] and not self._bytes[submitter]:
            del self._jobs[submitter], self._bytes[submitter]


def _queue_full(reason: str) -> Rejected:
    return Rejected(
        Reason.QUEUE_FULL,
        f"The queue is full: {reason}; nothing was accepted, try again later",
        retry_after_s=RETRY_AFTER_SECONDS,
    )
