"""Whether what an attempt left completes its job. Pure functions of its end and its results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evalserver.core.result_check import CheckStatus, Finding, FindingCode, ResultCheck
from evalserver.engines import FailedRequests, Results
from evalserver.executors import Exit, ExitReason

SIGNALS = range(128 + 1, 128 + 65)
"""The exit codes of a harness that a signal ended."""
MAX_FINDINGS = 100
MAX_NAMED = 20
"""Tasks that an error names."""


@dataclass(frozen=True)
class CheckedResults:
    """What the check of the results found; ``fault`` is why they do not complete the job, or None;
    ``failed_requests`` are those that are the fault."""

    findings: tuple[Finding, ...]
    fault: str | None = None
    failed_requests: FailedRequests | None = None

    @property
    def check(self) -> ResultCheck:
        """The findings as they are kept."""
        warned = CheckStatus.WARNINGS if self.findings else CheckStatus.OK
        kept, more = self.findings[:MAX_FINDINGS], len(self.findings) - MAX_FINDINGS
        if more > 0:
            text = f"There are {more} more findings"
            kept = (*kept, Finding(None, self.findings[MAX_FINDINGS].code, text))
        return ResultCheck(warned if self.fault is None else CheckStatus.FAILED, kept)


def succeeded(end: Exit) -> bool:
    """Whether the harness ended by itself and says that it succeeded."""
    return end.reason is ExitReason.EXITED and end.exit_code == 0


def check_results(results: Results, max_failed_requests: float) -> CheckedResults:
    """Check the results by themselves, whatever the harness's end.

    They complete a job if the harness says something about every requested task, at least one
    number is finite where one can be, and not too many requests to the model failed:
    ``max_failed_requests`` is their largest share.
    """
    requests = results.failed_requests
    findings = (*results.findings, *_failed_requests_findings(requests))
    if requests is not None and requests.share > max_failed_requests:
        return CheckedResults(
            findings, _failed_requests_text(requests, max_failed_requests), requests
        )
    missing = [each.task for each in findings if each.code is FindingCode.MISSING_TASK]
    if missing:
        there = ", ".join(sorted({each.task for each in results.metrics})[:MAX_NAMED])
        text = f"The harness's results say nothing about {_join(missing)}"
        return CheckedResults(findings, f"{text}; they have numbers for {there or 'no task'}")
    if results.numbers_expected and not results.metrics:
        return CheckedResults(findings, f"The harness's results have no number{_because(findings)}")
    return CheckedResults(findings)


def check_end(checked: CheckedResults, end: Exit, description: str) -> CheckedResults:
    """Add what the end of a harness that did not succeed means for its results.

    A harness may die or hang after it has saved its results, such as vLLM at its exit. A signal,
    the time limit and a stall say nothing about results that are whole. An exit code other than 0
    is the harness's own word that it failed; its numbers are kept as those of a failed job.
    """
    if checked.fault is None and _may_follow_results(end):
        text = f"The results were saved before the end: {description}"
        finding = Finding(None, FindingCode.ENDED_AFTER_RESULTS, text)
        return CheckedResults((*checked.findings, finding))
    return CheckedResults((*checked.findings, _incomplete(description)), description)


def check_loss(results: Results, why: str) -> CheckedResults:
    """Return the findings of an attempt whose end nobody has recorded."""
    return CheckedResults((*results.findings, _incomplete(why)), why)


def partial_of(results: Results) -> dict[str, Any] | None:
    """Return the numbers of a job that failed, by task; None if none is finite."""
    if not results.metrics:
        return None
    numbers: dict[str, Any] = {}
    for part in results.result.values():
        for task, values in part.get("metrics", {}).items():
            if values:
                numbers[task] = values
    return numbers


def _may_follow_results(end: Exit) -> bool:
    by_signal = end.reason is ExitReason.EXITED and end.exit_code in SIGNALS
    return by_signal or end.reason in (ExitReason.TIMED_OUT, ExitReason.STALLED)


def _incomplete(description: str) -> Finding:
    text = f"These numbers were saved before the evaluation failed: {description}"
    return Finding(None, FindingCode.INCOMPLETE, text)


def _failed_requests_findings(requests: FailedRequests | None) -> Iterator[Finding]:
    if requests is not None and requests.failed:
        text = (
            f"{requests.failed} of {requests.of} requests to the model failed{_example(requests)}"
        )
        yield Finding(None, FindingCode.FAILED_REQUESTS, text)


def _failed_requests_text(requests: FailedRequests, allowed: float) -> str:
    return (
        f"{requests.failed} of {requests.of} requests to the model failed ({requests.share:.1%}, "
        f"allowed are {allowed:.1%}), so the harness's numbers mean nothing{_example(requests)}"
    )


def _example(requests: FailedRequests) -> str:
    return f", for example: {requests.example}" if requests.example else ""


def _because(findings: tuple[Finding, ...]) -> str:
    odd = [f"{each.task}: {each.message}" for each in findings if each.task is not None]
    return f". {_join(odd, '; ')}" if odd else ""


def _join(texts: list[Any], separator: str = ", ") -> str:
    more = len(texts) - MAX_NAMED
    return separator.join(texts[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
