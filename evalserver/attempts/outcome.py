"""From the end of an attempt to the outcome of its job: what completes it, what a failure says."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import Status
from evalserver.engines import Engine, FailedRequests, NoResults, Paths
from evalserver.engines.logs import cause, tail
from evalserver.executors import AttemptInfo, Exit, ExitReason
from evalserver.system.attempt_log import log_path
from evalserver.system.untrusted_files import UnreadableFile
from evalserver.version import __version__

SIGNAL_BASE = 128
MAX_ERROR_BYTES = 16 * 1024
HEADLINE_BYTES = 2 * 1024
"""Reserved for the text before the log's last lines, so that their end is never cut off."""


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
    outcome = _judge(job, engine, paths, end, max_failed_requests)
    return replace(outcome, provenance={**_provenance(info), **(outcome.provenance or {})})


def _judge(
    job: Job, engine: Engine, paths: Paths, end: Exit, max_failed_requests: float
) -> Outcome:
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    if end.reason is not ExitReason.EXITED or end.exit_code != 0:
        return _failed_with_log(end, paths.run_dir, _failure_text(job, end))
    try:
        results = engine.read_results(job.request, paths)
    except NoResults as reason:
        return _failed_with_log(end, paths.run_dir, f"The harness exited with 0 but {reason}")
    except UnreadableFile as error:
        what = f"The harness exited with 0 but left a file that cannot be read, {error}"
        return _failed_with_log(end, paths.run_dir, what)
    failed_requests = results.failed_requests
    if failed_requests is not None and failed_requests.share > max_failed_requests:
        headline = _failed_requests_text(failed_requests, max_failed_requests)
        text = _with_log(headline, paths.run_dir, _last_lines(paths.run_dir))
        return Outcome(Status.FAILED, end.ended_at, 0, text)
    return Outcome(
        Status.COMPLETED,
        end.ended_at,
        0,
        result=results.result,
        metrics=results.metrics,
        provenance=dict(results.reported),
    )


def lost(job: Job, paths: Paths, info: AttemptInfo, why: str, now: str) -> Outcome:
    """Return the outcome of a job whose last permitted attempt was lost with its runner."""
    provenance = _provenance(info)
    if job.cancel_requested_at is not None:
        error = f"It was cancelled, and its runner was lost meanwhile: {why}"
        return Outcome(Status.CANCELLED, now, error=error, provenance=provenance)
    reason = (
        f"The runner of attempt {job.attempt} of {job.max_attempts} was lost: {why}. "
        f"No attempt is left; POST /jobs/{job.job_id}/retry makes a further one"
    )
    error = _with_log(reason, paths.run_dir, _last_lines(paths.run_dir))
    return Outcome(Status.FAILED, now, error=error, provenance=provenance)


def unread(paths: Paths, end: Exit, limit_s: float) -> Outcome:
    """Return the outcome of a job whose files could not be read within ``limit_s`` seconds."""
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    error = (
        f"What the evaluation left could not be read within {limit_s:g} s: the disk of "
        f"{paths.output_dir} or {paths.run_dir} does not answer, or there is too much"
    )
    return Outcome(Status.FAILED, end.ended_at, end.exit_code, error)


def failed(reason: str, now: str) -> Outcome:
    """Return the outcome of a job that failed before its harness ran."""
    return Outcome(Status.FAILED, now, error=reason)


def _failed_requests_text(requests: FailedRequests, allowed: float) -> str:
    example = f", for example: {requests.example}" if requests.example else ""
    return (
        f"{requests.failed} of {requests.of} requests to the model failed ({requests.share:.1%}, "
        f"allowed are {allowed:.1%}), so the harness's numbers mean nothing{example}"
    )


def _provenance(info: AttemptInfo) -> dict[str, Any]:
    """Return what produced the metrics; the command is None if its record was damaged."""
    argv = info.argv
    command = None if argv is None else [each.encode(errors="replace").decode() for each in argv]
    return {"evalserver": __version__, "host": socket.gethostname(), "command": command}


def _failed_with_log(end: Exit, run_dir: Path, what: str) -> Outcome:
    last_lines = _last_lines(run_dir)
    because = cause(last_lines)
    headline = f"{what}: {because}" if because else what
    error = _with_log(headline, run_dir, last_lines)
    return Outcome(Status.FAILED, end.ended_at, end.exit_code, error)


def _last_lines(run_dir: Path) -> str:
    return tail(run_dir, most_bytes=MAX_ERROR_BYTES - HEADLINE_BYTES)


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
        case ExitReason.TERMINATED:
            return "The evaluation was stopped from outside: its runner was told to end"
    code = end.exit_code or 0
    if code > SIGNAL_BASE:
        return f"The {program} was killed by signal {code - SIGNAL_BASE} (exit code {code})"
    if end.stage is not None or job.engine == "merge":
        return f"The merge failed with return code {code}"
    return f"The evaluation failed with return code {code}"
