"""Quotas for queued jobs and the bytes of their requests: in total, and per token."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from evalserver.auth.access import ANONYMOUS
from evalserver.core.lifecycle import Status
from evalserver.store import CommittedEvent, Queued
from evalserver.submission.rejection import RETRY_AFTER_SECONDS, Reason, Rejected


@dataclass(frozen=True)
class Quota:
    """No job is accepted once so many jobs, or so many bytes of requests, are queued."""

    jobs: int
    request_bytes: int


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
    def reserve(self, submitter: str, *request_bytes: int) -> Iterator[Rejected | None]:
        """Reserve places in the queue for the block, in which jobs with requests of these sizes are
        written together.

        Yields a rejection when the last of them would find the queue full.
        """
        full = self._check_quotas(submitter, request_bytes[:-1])
        if full is not None:
            yield full
            return
        jobs, size = len(request_bytes), sum(request_bytes)
        self._add(submitter, jobs, size)
        try:
            yield None
        finally:
            self._add(submitter, -jobs, -size)

    def _check_quotas(self, submitter: str, before: Sequence[int]) -> Rejected | None:
        """Check the quotas for a job that comes after jobs of the sizes ``before``."""
        jobs, size = len(before), sum(before)
        of_batch = f" and {jobs + 1} would come together" if jobs else ""
        if self._all_jobs + jobs >= self._total.jobs:
            return _queue_full(
                f"{self._all_jobs} jobs are queued{of_batch}, the limit is max_queued_jobs"
            )
        if self._all_bytes + size >= self._total.request_bytes:
            return _queue_full(
                f"the requests of queued jobs have {self._all_bytes} bytes{of_batch}, the limit is"
                " max_queued_bytes"
            )
        # Without tokens, the server cannot tell its clients apart.
        if submitter == ANONYMOUS:
            return None
        if self._jobs[submitter] + jobs >= self._per_token.jobs:
            return _queue_full(
                f"{self._jobs[submitter]} jobs of {submitter} are queued{of_batch}, the limit of"
                " one token is max_queued_per_token"
            )
        if self._bytes[submitter] + size >= self._per_token.request_bytes:
            return _queue_full(
                f"the requests of {submitter}'s queued jobs have {self._bytes[submitter]} bytes"
                f"{of_batch}; the limit of one token is max_queued_bytes_per_token"
            )
        return None

    def _add(self, submitter: str, jobs: int, request_bytes: int) -> None:
        self._all_jobs += jobs
        self._all_bytes += request_bytes
        self._jobs[submitter] += jobs
        self._bytes[submitter] += request_bytes
        if not self._jobs[submitter]:
            del self._jobs[submitter], self._bytes[submitter]


def _queue_full(reason: str) -> Rejected:
    return Rejected(
        Reason.QUEUE_FULL,
        f"The queue is full: {reason}; nothing was accepted, try again later",
        retry_after_s=RETRY_AFTER_SECONDS,
    )
