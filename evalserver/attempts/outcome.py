"""From the end of an attempt to the outcome of its job: what completes it, what a failure says."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from evalserver.attempts.failures import Evidence, classify, failure
from evalserver.attempts.result_checks import (
    CheckedResults,
    check_end,
    check_loss,
    check_results,
    partial_of,
    succeeded,
)
from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import Status
from evalserver.engines import Engine, FailedRequests, NoResults, Paths, Results, merge
from evalserver.engines.logs import cause, last_lines, shorten_tracebacks, tail
from evalserver.executors import AttemptInfo, Exit, ExitReason, Lost
from evalserver.system.attempt_log import log_path
from evalserver.system.untrusted_files import UnreadableFile
from evalserver.version import __version__

SIGNAL_BASE = 128
MAX_ERROR_BYTES = 16 * 1024
HEADLINE_BYTES = 2 * 1024
"""Reserved for the text before the log's last lines, so that their end is never cut off."""
EXAMINED_BYTES = 256 * 1024
EXAMINED_LINES = 4000
"""Of the end of a failed attempt's log: each process of a distributed job may end with a traceback.
"""


def judge(
    job: Job,
    engine: Engine,
    paths: Paths,
    end: Exit,
    info: AttemptInfo,
    max_failed_requests: float,
) -> Outcome:
    """Return the outcome of a job whose attempt ended this way. Reads the attempt's files.

    ``max_failed_requests`` is the share of requests to the model that may have failed.
    """
    attempt = _Attempt(job, engine, paths, end)
    outcome = _judge(attempt, max_failed_requests)
    return replace(outcome, provenance={**_provenance(info), **(outcome.provenance or {})})


@dataclass(frozen=True)
class _Attempt:
    """An attempt that has ended."""

    job: Job
    engine: Engine
    paths: Paths
    end: Exit

    def failed(self, what: str, requests: FailedRequests | None = None) -> Outcome:
        """Return the outcome of a failure, with the end of the log."""
        log_end = tail(self.paths.run_dir, EXAMINED_LINES, EXAMINED_BYTES)
        lines = _excerpt(log_end)
        because = cause(lines) if requests is None else None
        headline = f"{what}: {because}" if because else what
        evidence = Evidence(
            self.end,
            log_end,
            is_merge=self.end.stage is not None or self.job.engine == merge.NAME,
            has_failed_requests=requests is not None,
            failed_request=None if requests is None else requests.example,
            task_paths=tuple(self._task_paths()),
        )
        error = _with_log(headline, self.paths.run_dir, lines)
        end = self.end
        reason = classify(evidence)
        return Outcome(Status.FAILED, end.ended_at, end.exit_code, error, failure=reason)

    def results(self) -> Results:
        """Read what the attempt left. Raises NoResults, UnreadableFile."""
        if self.end.stage is not None or self.end.reason is ExitReason.NOT_STARTED:
            raise NoResults("did not run")
        return self.engine.read_results(self.job.request, self.paths)

    def _task_paths(self) -> Iterator[PurePath]:
        """Yield where the operator's and the client's own tasks are."""
        if self.engine.settings.include_path:
            yield PurePath(self.engine.settings.include_path)
        for task in self.job.request.tasks:
            if task.startswith("/"):
                yield PurePath(task).parent


def _judge(attempt: _Attempt, max_failed_requests: float) -> Outcome:
    job, end = attempt.job, attempt.end
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    description = None if succeeded(end) else _failure_text(job, end)
    try:
        results = attempt.results()
    except NoResults as reason:
        return attempt.failed(description or f"The harness exited with 0 but {reason}")
    except UnreadableFile as error:
        what = f"The harness exited with 0 but left a file that cannot be read, {error}"
        return attempt.failed(description or what)
    checked = check_results(results, max_failed_requests)
    if description is not None:
        checked = check_end(checked, end, description)
    if checked.fault is not None:
        outcome = attempt.failed(checked.fault, checked.failed_requests)
        return _with_partial(outcome, checked, results)
    return Outcome(
        Status.COMPLETED,
        end.ended_at,
        end.exit_code,
        result=results.result,
        metrics=results.metrics,
        provenance=dict(results.reported),
        result_check=checked.check,
    )


def lost(job: Job, engine: Engine, paths: Paths, info: AttemptInfo, end: Lost, now: str) -> Outcome:
    """Return the outcome of a job whose last permitted attempt was lost with its runner. Reads the
    attempt's files."""
    outcome = lost_without_results(job, paths, info, end, now)
    if outcome.status is Status.CANCELLED:
        return outcome
    try:
        results = engine.read_results(job.request, paths)
    except (NoResults, UnreadableFile):
        return outcome
    checked = check_loss(results, f"the runner was lost: {end.why}")
    return _with_partial(outcome, checked, results)


def lost_without_results(job: Job, paths: Paths, info: AttemptInfo, end: Lost, now: str) -> Outcome:
    """Return the same outcome without reading what the harness left."""
    provenance = _provenance(info)
    if job.cancel_requested_at is not None:
        error = f"It was cancelled, and its runner was lost meanwhile: {end.why}"
        return Outcome(Status.CANCELLED, now, error=error, provenance=provenance)
    reason = (
        f"The runner of attempt {job.attempt} of {job.max_attempts} was lost: {end.why}. "
        f"{_why_not_again(end)}; POST /jobs/{job.job_id}/retry makes a further one"
    )
    lines = _excerpt(tail(paths.run_dir, EXAMINED_LINES, EXAMINED_BYTES))
    error = _with_log(reason, paths.run_dir, lines)
    return Outcome(
        Status.FAILED, now, error=error, provenance=provenance, failure=failure(end.code)
    )


def _why_not_again(end: Lost) -> str:
    return "No attempt is left" if end.may_retry else "A further attempt would end in the same way"


def unread(paths: Paths, end: Exit, limit_s: float) -> Outcome:
    """Return the outcome of a job whose files could not be read within ``limit_s`` seconds."""
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    error = (
        f"What the evaluation left could not be read within {limit_s:g} s: the disk of "
        f"{paths.output_dir} or {paths.run_dir} does not answer, or there is too much"
    )
    reason = failure("unreadable_files")
    return Outcome(Status.FAILED, end.ended_at, end.exit_code, error, failure=reason)


def lost_while_stalled(outcome: Outcome, job: Job, why: str) -> Outcome:
    """Return the outcome of a lost attempt as that of one that was to be stopped, as it stalled."""
    _headline, *log_end = (outcome.error or "").splitlines(keepends=True)
    headline = f"{describe_stall(job)}. Its runner was lost meanwhile: {why}"
    error = "\n".join([headline, "".join(log_end)]) if log_end else headline
    return replace(outcome, error=error, failure=failure("stalled"))


def describe_stall(job: Job) -> str:
    """Return why a stalled job was stopped."""
    return (
        "The evaluation was stopped because it had stalled: it wrote nothing and used no GPU since"
        f" {job.stalled_since}"
    )


def failed(reason: str, code: str, now: str) -> Outcome:
    """Return the outcome of a job that failed before its harness ran, for a reason with this code
    of the table of failures."""
    return Outcome(Status.FAILED, now, error=reason, failure=failure(code))


def _with_partial(outcome: Outcome, checked: CheckedResults, results: Results) -> Outcome:
    """Add what a failed job has: the findings, and the numbers."""
    return replace(
        outcome,
        partial=partial_of(results),
        metrics=results.metrics,
        provenance={**results.reported, **(outcome.provenance or {})},
        result_check=checked.check,
    )


def _provenance(info: AttemptInfo) -> dict[str, Any]:
    """Return what produced the metrics; the command is None if its record was damaged."""
    argv = info.argv
    command = None if argv is None else [each.encode(errors="replace").decode() for each in argv]
    host = socket.gethostname() if info.host is None else info.host
    there = {} if info.cluster_job_id is None else {"cluster_job_id": info.cluster_job_id}
    return {"evalserver": __version__, "host": host, **there, "command": command}


def _excerpt(log_end: str) -> str:
    """The last lines of a log for an error, with its tracebacks shortened."""
    return last_lines(shorten_tracebacks(log_end), MAX_ERROR_BYTES - HEADLINE_BYTES)


def _with_log(headline: str, run_dir: Path, last_lines: str) -> str:
    error = (
        f"{headline}\nLast lines of {log_path(run_dir)}:\n{last_lines}" if last_lines else headline
    )
    return error.encode()[:MAX_ERROR_BYTES].decode(errors="ignore")


def _failure_text(job: Job, end: Exit) -> str:
    text = _describe_exit(job, end)
    return text if end.stage is None else f"It ended while {end.stage}. {text}"


def _describe_exit(job: Job, end: Exit) -> str:
    program = "harness" if end.stage is None else "program"
    match end.reason:
        case ExitReason.NOT_STARTED:
            return f"The {program} could not be started: {end.error}"
        case ExitReason.TIMED_OUT:
            return f"The evaluation was stopped: it took longer than {job.request.timeout_s:g} s"
        case ExitReason.STALLED:
            return describe_stall(job)
        case ExitReason.TERMINATED:
            return "The evaluation was stopped from outside: its runner was told to end"
    code = end.exit_code or 0
    if code > SIGNAL_BASE:
        return f"The {program} was killed by signal {code - SIGNAL_BASE} (exit code {code})"
    if end.stage is not None or job.engine == merge.NAME:
        return f"The merge failed with return code {code}"
    return f"The evaluation failed with return code {code}"
