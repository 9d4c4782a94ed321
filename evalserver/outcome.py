"""How an attempt's end becomes a job's outcome: what counts as completed, what a failure says."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.engines import Engine, NoResults, Paths
from evalserver.engines.logs import cause, tail
from evalserver.executors import Exit, ExitReason
from evalserver.job import Job, Outcome
from evalserver.lifecycle import Status
from evalserver.runner.files import JOB_FILE, LOG_FILE
from evalserver.version import __version__

SIGNAL_BASE = 128
MOST_ERROR_BYTES = 16 * 1024
HEADLINE_BYTES = 2 * 1024
"""Room for the words before the log's last lines, so that the end of those is never cut off."""


def judge(job: Job, engine: Engine, paths: Paths, end: Exit) -> Outcome:
    """The outcome of a job whose attempt ended this way. Reads the files of its run directory."""
    return replace(_judge(job, engine, paths, end), provenance=_provenance(paths.run_dir))


def _judge(job: Job, engine: Engine, paths: Paths, end: Exit) -> Outcome:
    if end.reason is ExitReason.CANCELLED:
        return Outcome(Status.CANCELLED, end.ended_at, end.exit_code)
    if end.reason is not ExitReason.EXITED or end.exit_code != 0:
        return _failed_with_log(end, paths.run_dir / LOG_FILE, _what_happened(job, end))
    try:
        results = engine.read_results(paths.output_dir)
    except NoResults as reason:
        return _failed_with_log(
            end, paths.run_dir / LOG_FILE, f"The harness exited with 0 but {reason}"
        )
    return Outcome(
        Status.COMPLETED, end.ended_at, 0, result=results.result, metrics=results.metrics
    )


def lost(job: Job, why: str, now: str) -> Outcome:
    """The outcome of a job whose last permitted attempt was lost with its runner."""
    if job.cancel_requested_at is not None:
        return Outcome(Status.CANCELLED, now)
    reason = (
        f"The runner of attempt {job.attempt} of {job.max_attempts} was lost: {why}. "
        f"No attempt is left; POST /jobs/{job.job_id}/retry makes a further one"
    )
    return failed(reason, now)


def failed(reason: str, now: str) -> Outcome:
    """The outcome of a job that failed without a word from its harness."""
    return Outcome(Status.FAILED, now, error=reason)


def _provenance(run_dir: Path) -> dict[str, Any]:
    """By what, where and how the numbers were made."""
    try:
        command = json.loads((run_dir / JOB_FILE).read_text(encoding="utf-8"))["argv"]
    except (OSError, ValueError, KeyError):
        command = None  # the run directory was damaged; the outcome stands all the same
    return {"evalserver": __version__, "host": socket.gethostname(), "command": command}


def _failed_with_log(end: Exit, log: Path, what: str) -> Outcome:
    last_lines = tail(log, most_bytes=MOST_ERROR_BYTES - HEADLINE_BYTES)
    because = cause(last_lines)
    headline = f"{what}: {because}" if because else what
    error = f"{headline}\nLast lines of {log}:\n{last_lines}" if last_lines else headline
    kept = error.encode()[:MOST_ERROR_BYTES].decode(errors="ignore")
    return Outcome(Status.FAILED, end.ended_at, end.exit_code, kept)


def _what_happened(job: Job, end: Exit) -> str:
    match end.reason:
        case ExitReason.NOT_STARTED:
            return f"The harness could not be started: {end.error}"
        case ExitReason.TIMED_OUT:
            return f"The evaluation was stopped: it took longer than {job.request.timeout_s:g} s"
        case ExitReason.TERMINATED:
            return "The evaluation was stopped from outside: its runner was told to end"
    code = end.exit_code or 0
    if code > SIGNAL_BASE:
        return f"The harness was killed by signal {code - SIGNAL_BASE} (exit code {code})"
    return f"The evaluation failed with return code {code}"
