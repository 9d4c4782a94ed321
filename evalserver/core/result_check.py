"""What the check of a job's results found: whether they are whole, and what is odd about them."""

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """The verdict of the check."""

    OK = "ok"
    """There are numbers for every task, and nothing is odd."""
    WARNINGS = "warnings"
    """The job is completed, and there is something to know about its results."""
    FAILED = "failed"
    """The job failed because of what its results say."""


class FindingCode(StrEnum):
    """The kinds of findings."""

    NO_SCORE = "no_score"
    """The task has no score: its split only makes a submission file, or nothing was scored."""
    NOT_FINITE = "not_finite"
    """A metric is NaN or infinite."""
    MISSING_TASK = "missing_task"
    """The harness says nothing about a task that was requested."""
    MISSING_SAMPLES = "missing_samples"
    """There are fewer samples than scored documents."""
    UNREADABLE_SAMPLES = "unreadable_samples"
    """Samples that cannot be read as they are."""
    FAILED_REQUESTS = "failed_requests"
    """Requests to the model failed, or samples ended in an error."""
    ENDED_AFTER_RESULTS = "ended_after_results"
    """The harness died or was stopped after it had saved its results."""
    INCOMPLETE = "incomplete"
    """The evaluation ended before it had computed everything."""


@dataclass(frozen=True)
class Finding:
    """Something to know about the results: of one task, or of all if ``task`` is None."""

    task: str | None
    code: FindingCode
    message: str


@dataclass(frozen=True)
class ResultCheck:
    """The verdict and its findings."""

    status: CheckStatus
    findings: tuple[Finding, ...] = ()
