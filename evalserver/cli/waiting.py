"""Waiting until jobs have ended, and showing their outcome."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells, values
from evalserver.cli.connection import Server, print_to_stderr
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, to_failure
from evalserver.cli.results import print_results, print_results_of_jobs
from evalserver.cli.screens import print_json
from evalserver.cli.values import parse_with
from evalserver.cli.watching import View, choose_view
from evalserver.core.wording import count_of_jobs

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Job = dict[str, Any]
Command = Callable[..., Any]

MERGE = "merge"
"""The engine whose jobs have the path of a merged checkpoint instead of metrics."""

FINISHED = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Waiting:
    """How to wait: the timeout in seconds, what Ctrl-C does, and whether to show progress."""

    timeout: float | None
    cancel_on_interrupt: bool
    quiet: bool

    def heed_sigterm(self) -> None:
        """Let SIGTERM do what Ctrl-C does, if that cancels the jobs: schedulers and CI systems send
        it to stop a command."""
        if self.cancel_on_interrupt:
            signal.signal(signal.SIGTERM, signal.default_int_handler)


CANCEL_ON_INTERRUPT = click.option(
    "--cancel-on-interrupt", is_flag=True, help="Ctrl-C and SIGTERM cancel the jobs."
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="Do not show progress.")


def with_waiting(*more_names: str) -> Callable[[Command], Command]:
    """Add the options of waiting to a command, which gets them as ``waiting``."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(
            *, wait_timeout: float | None, cancel_on_interrupt: bool, quiet: bool, **kwargs: Any
        ) -> Any:
            waiting = Waiting(wait_timeout, cancel_on_interrupt, quiet)
            return command(waiting=waiting, **kwargs)

        timeout = click.option(
            *("--wait-timeout", *more_names, "wait_timeout"),
            callback=parse_with(values.seconds),
            metavar="SECONDS",
            help="Maximum time to wait (30m, 2h); the job continues after it.",
        )
        wrapped: Command = timeout(CANCEL_ON_INTERRUPT(QUIET(called)))
        return wrapped

    return decorate


def wait_for(
    server: Server,
    job_ids: Sequence[str],
    waiting: Waiting,
    *,
    as_json: bool,
    again: str = "",
) -> ExitCode:
    """Wait until the jobs have ended, and show their outcome.

    ``again`` are the arguments of a command for these jobs; by default, the ids of those that have
    not ended.
    """
    waiting.heed_sigterm()
    view = choose_view(quiet=waiting.quiet, as_json=as_json)
    ended: dict[str, Job] = {}
    try:
        with server.client(is_waiting=True, on_retry=view.warn) as client:
            _wait(client, job_ids, waiting, view, ended, again)
            _show(client, list(ended.values()), as_json=as_json)
    except KeyboardInterrupt:
        remaining = [job_id for job_id in job_ids if job_id not in ended]
        if not remaining:
            raise
        if not waiting.cancel_on_interrupt:
            _print_detached(remaining, again)
            return ExitCode.INTERRUPTED
        with server.client(is_waiting=True, on_retry=view.warn) as client:
            _cancel(client, remaining, view, ended, again)
            _show(client, list(ended.values()), as_json=as_json)
    return _exit_code(ended.values())


def _wait(
    client: "EvalClient",
    job_ids: Sequence[str],
    waiting: Waiting,
    view: View,
    ended: dict[str, Job],
    again: str,
) -> None:
    from evalserver.client import RequestFailed, ServerUnreachable

    deadline = None if waiting.timeout is None else time.monotonic() + waiting.timeout
    for job_id in job_ids:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            ended[job_id] = _wait_for_end(client, job_id, view, timeout)
        except (TimeoutError, RequestFailed, ServerUnreachable) as error:
            failure = to_failure(error)
            rest = again or " ".join(each for each in job_ids if each not in ended)
            advice = f"wait again with: evalserver wait {rest}"
            raise Failure(f"{failure.message}; {advice}", failure.code) from error
        _print_end(ended[job_id], view)


def _wait_for_end(client: "EvalClient", job_id: str, view: View, timeout: float | None) -> Job:
    """Return the job once it has ended, whatever its status."""
    from evalserver.client import JobCancelled, JobFailed

    try:
        with view:
            return client.wait_for_job(
                job_id, view.poll_seconds, timeout, verbose=False, on_look=view.show
            )
    except (JobFailed, JobCancelled) as error:
        return error.job


def _print_end(job: Job, view: View) -> None:
    job_id = job["job_id"]
    if job["status"] == "completed":
        view.info(f"Job {job_id} is completed" + _after_run_time(job))
        for finding in cells.findings(job):
            view.warn(f"Warning: {finding}")
    elif job["status"] == "cancelled":
        print_to_stderr(f"Job {job_id} was cancelled")
    else:
        print_to_stderr(_describe_failure(job))


def _describe_failure(job: Job) -> str:
    """Return why a job failed: what happened, then what to do, then the end of its log."""
    job_id, failure = job["job_id"], job.get("failure")
    headline, *log = cells.error_lines(job)
    lines = [f"Error: job {job_id} failed: {headline}"]
    if failure is not None:
        lines.append(f"Advice ({cells.text(failure['code'])}): {cells.advice(job)}")
    last = [f"Its log: evalserver logs {job_id}"]
    if job.get("partial"):
        last.append(f"The numbers that it has: evalserver results {job_id}")
    return "\n".join([*lines, *log, *last])


def _after_run_time(job: Job) -> str:
    run_time = cells.run_time(job)
    return "" if run_time == cells.EMPTY else f" after {run_time}"


def _print_detached(job_ids: Sequence[str], again: str) -> None:
    ids = again or " ".join(job_ids)
    continues, it = ("continues", "it") if len(job_ids) == 1 else ("continue", "them")
    noun = "job" if len(job_ids) == 1 else f"{len(job_ids)} jobs"
    print_to_stderr(
        f"Detached; the {noun} {continues}. Wait again with: evalserver wait {ids}\n"
        f"Or cancel {it} with: evalserver cancel {ids}"
    )


def _cancel(
    client: "EvalClient",
    job_ids: Sequence[str],
    view: View,
    ended: dict[str, Job],
    again: str,
) -> None:
    """Cancel jobs, and wait until they have ended."""
    from evalserver.client import RequestFailed

    ids = again or " ".join(job_ids)
    try:
        print_to_stderr(f"Cancelling {count_of_jobs(len(job_ids)) if again else ids}")
        for job_id in job_ids:
            try:
                client.cancel_job(job_id)
            except RequestFailed as error:
                print_to_stderr(f"Error: {error}")
        for job_id in job_ids:
            ended[job_id] = _wait_for_end(client, job_id, view, None)
            _print_end(ended[job_id], view)
    except KeyboardInterrupt:
        message = f"Interrupted before all jobs had ended; wait again with: evalserver wait {ids}"
        raise Failure(message, ExitCode.INTERRUPTED) from None


def _show(client: "EvalClient", ended: list[Job], *, as_json: bool) -> None:
    if as_json:
        print_json(ended[0] if len(ended) == 1 else ended)
        return
    merged = [job for job in ended if job["engine"] == MERGE and job["status"] == "completed"]
    for job in merged:
        click.echo(cells.text(job["request"]["lmms_engine_kwargs"]["output_path"]))
    others = [job for job in ended if job not in merged]
    if len(ended) > 1 and others:
        print_results_of_jobs([(job, _metrics(client, job)) for job in others])
    elif [job["status"] for job in others] == ["completed"]:
        print_results(_metrics(client, others[0]))


def _metrics(client: "EvalClient", job: Job) -> list[dict[str, Any]]:
    has_metrics = job["status"] == "completed" or job.get("partial")
    return client.results(job["job_id"]) if has_metrics else []


def _exit_code(ended: Any) -> ExitCode:
    statuses = {job["status"] for job in ended}
    if "failed" in statuses:
        return ExitCode.JOB_FAILED
    return ExitCode.CANCELLED if "cancelled" in statuses else ExitCode.DONE
