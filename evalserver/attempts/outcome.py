"""How an attempt's end becomes a job's outcome: what counts as completed, what a failure says."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import Status
from evalserver.engines import Engine, FailedRequests, NoResults, Paths
from evalserver.engines.logs import cause, tail
from evalserver.executors import Exit, ExitReason, argv_of
from evalserver.system.untrusted_files import UnreadableFile
from evalserver.version import __version__

SIGNAL_BASE = 128
MOST_ERROR_BYTES = 16 * 1024
HEADLINE_BYTES = 2 * 1024
"""Room for the words before the log's last lines, so that the end of those is never cut off."""


def judge(job: Job, engine: Engine, paths: Paths, end: Exit, max_failed_requests: float) -> Outcome:
    """The outcome of a job whose attempt ended this way. Reads the files of its run directory.

    ``max_failed_requests`` is the share of requests to the model that may have failed.
    """
    outcome = _judge(job, engine, paths, end, max_failed_requests)
    return replace(outcome, provenance={**_provenance(paths.run_dir), **(outcome.provenance or {})})


def _judge(
    job: Job, engine: Engine, paths: Paths, end: Exit, max_failed_requests: float
) -> Outcome:
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    if end.reason is not ExitReason.EXITED or end.exit_code != 0:
        return _failed_with_log(end, paths.log, _what_happened(job, end))
    try:
        results = engine.read_results(job.request, paths)
    except NoResults as reason:
        return _failed_with_log(end, paths.log, f"The harness exited with 0 but {reason}")
    except UnreadableFile as error:
        what = f"The harness exited with 0 but left a file that cannot be read, {error}"
        return _failed_with_log(end, paths.log, what)
    failed_requests = results.failed_requests
    if failed_requests is not None and failed_requests.share > max_failed_requests:
        what = _too_many(failed_requests, max_failed_requests)
        return Outcome(Status.FAILED, end.ended_at, 0, _with_log(what, paths.log))
    return Outcome(
        Status.COMPLETED,
        end.ended_at,
        0,
        result=results.result,
        metrics=results.metrics,
        provenance=dict(results.said),
    )


def lost(job: Job, paths: Paths, why: str, now: str) -> Outcome:
    """The outcome of a job whose last permitted attempt was lost with its runner."""
    provenance = _provenance(paths.run_dir)
    if job.cancel_requested_at is not None:
        error = f"It was cancelled, and its runner was lost meanwhile: {why}"
        return Outcome(Status.CANCELLED, now, error=error, provenance=provenance)
    reason = (
        f"The runner of attempt {job.attempt} of {job.max_attempts} was lost: {why}. "
        f"No attempt is left; POST /jobs/{job.job_id}/retry makes a further one"
    )
    error = _with_log(reason, paths.log)
    return Outcome(Status.FAILED, now, error=error, provenance=provenance)


def unread(paths: Paths, end: Exit, limit_s: float) -> Outcome:
    """The outcome of a job whose files could not be read within so many seconds."""
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    error = (
        f"What the evaluation left could not be read within {limit_s:g} s: the disk of "
        f"{paths.output_dir} or {paths.run_dir} does not answer, or there is too much"
    )
    return Outcome(Status.FAILED, end.ended_at, end.exit_code, error)


def failed(reason: str, now: str) -> Outcome:
    """The outcome of a job that failed without a word from its harness."""
    return Outcome(Status.FAILED, now, error=reason)


def _too_many(requests: FailedRequests, allowed: float) -> str:
    example = f", for example: {requests.example}" if requests.example else ""
    return (
        f"{requests.failed} of {requests.of} requests to the model failed ({requests.share:.1%}, "
        f"allowed are {allowed:.1%}), so the harness's numbers mean nothing{example}"
    )


def _provenance(run_dir: Path) -> dict[str, Any]:
    """By what, where and how the numbers were made."""
    argv = argv_of(run_dir)
    # If the run directory was damaged, the outcome stands all the same.
    command = None if argv is None else [each.encode(errors="replace").decode() for each in argv]
    return {"evalserver": __version__, "host": socket.gethostname(), "command": command}


def _failed_with_log(end: Exit, log: Path, what: str) -> Outcome:
    because = cause(tail(log, most_bytes=MOST_ERROR_BYTES - HEADLINE_BYTES))
    headline = f"{what}: {because}" if because else what
    return Outcome(Status.FAILED, end.ended_at, end.exit_code, _with_log(headline, log))


def _with_log(headline: str, log: Path) -> str:
    last_lines = tail(log, most_bytes=MOST_ERROR_BYTES - HEADLINE_BYTES)
    error = f"{headline}\nLast lines of {log}:\n{last_lines}" if last_lines else headline
    return error.encode()[:MOST_ERROR_BYTES].decode(errors="ignore")


def _what_happened(job: Job, end: Exit) -> str:
    said = _how_it_ended(job, end)
    return said if end.stage is None else f"It ended while {end.stage}. {said}"


def _how_it_ended(job: Job, end: Exit) -> str:
    what = "harness" if end.stage is None else "program"
    match end.reason:
        case ExitReason.NOT_STARTED:
            return f"The {what} could not be started: {end.error}"
        case ExitReason.TIMED_OUT:
            return f"The evaluation was stopped: it took longer than {job.request.timeout_s:g} s"
        case ExitReason.TERMINATED:
            return "The evaluation was stopped from outside: its runner was told to end"
    code = end.exit_code or 0
    if code > SIGNAL_BASE:
        return f"The {what} was killed by signal {code - SIGNAL_BASE} (exit code {code})"
    if end.stage is not None or job.engine == "merge":
        return f"The merge failed with return code {code}"
    return f"The evaluation failed with return code {code}"
