"""Waiting for jobs: what happens until they have ended, and what came of them."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells, values
from evalserver.cli.connection import Server, to_stderr
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, failure_of
from evalserver.cli.results import print_results
from evalserver.cli.screens import print_json
from evalserver.cli.values import read_with
from evalserver.cli.watching import View, view_of

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Job = dict[str, Any]
Command = Callable[..., Any]

MERGE = "merge"
"""The engine whose jobs have no numbers, but the path of a merged checkpoint."""

FINISHED = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Waiting:
    """How to wait: for how many seconds, what Ctrl-C does, whether anything is told meanwhile."""

    timeout: float | None
    cancel_on_interrupt: bool
    quiet: bool


CANCEL_ON_INTERRUPT = click.option(
    "--cancel-on-interrupt", is_flag=True, help="Ctrl-C (and SIGTERM) cancels what is waited for."
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="Do not tell what happens meanwhile.")


def with_waiting(*more_names: str) -> Callable[[Command], Command]:
    """Give a command the options of waiting, and what they say as ``waiting``."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(
            *, wait_timeout: float | None, cancel_on_interrupt: bool, quiet: bool, **kwargs: Any
        ) -> Any:
            waiting = Waiting(wait_timeout, cancel_on_interrupt, quiet)
            return command(waiting=waiting, **kwargs)

        timeout = click.option(
            *("--wait-timeout", *more_names, "wait_timeout"),
            callback=read_with(values.seconds),
            metavar="SECONDS",
            help="Wait no longer than this (30m, 2h); the job goes on.",
        )
        wrapped: Command = timeout(CANCEL_ON_INTERRUPT(QUIET(called)))
        return wrapped

    return decorate


def wait_for(
    server: Server, job_ids: Sequence[str], waiting: Waiting, *, as_json: bool
) -> ExitCode:
    """Wait until the jobs have ended, and show what came of them."""
    if waiting.cancel_on_interrupt:
        # Schedulers and CI systems end what they run with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    view = view_of(quiet=waiting.quiet, as_json=as_json)
    ended: dict[str, Job] = {}
    try:
        with server.client(patient=True, note=view.note) as client:
            _wait(client, job_ids, waiting, view, ended)
            _show(client, list(ended.values()), as_json=as_json)
    except KeyboardInterrupt:
        left = [job_id for job_id in job_ids if job_id not in ended]
        if not left:
            raise
        if not waiting.cancel_on_interrupt:
            _tell_detached(left)
            return ExitCode.INTERRUPTED
        with server.client(patient=True, note=view.note) as client:
            _cancel(client, left, view, ended)
            _show(client, list(ended.values()), as_json=as_json)
    return _code(ended.values())


def _wait(
    client: "EvalClient",
    job_ids: Sequence[str],
    waiting: Waiting,
    view: View,
    ended: dict[str, Job],
) -> None:
    from evalserver.client import RequestFailed, ServerUnreachable

    until = None if waiting.timeout is None else time.monotonic() + waiting.timeout
    for job_id in job_ids:
        left = None if until is None else max(0.0, until - time.monotonic())
        try:
            ended[job_id] = _end_of(client, job_id, view, left)
        except (TimeoutError, RequestFailed, ServerUnreachable) as error:
            failure = failure_of(error)
            rest = " ".join(each for each in job_ids if each not in ended)
            advice = f"come back with: evalserver wait {rest}"
            raise Failure(f"{failure.message}; {advice}", failure.code) from error
        _tell_end(ended[job_id], view)


def _end_of(client: "EvalClient", job_id: str, view: View, timeout: float | None) -> Job:
    """The record of the job once it has ended, however it did."""
    from evalserver.client import JobCancelled, JobFailed

    try:
        with view:
            return client.wait_for_job(
                job_id, view.poll_seconds, timeout, verbose=False, on_look=view.show
            )
    except (JobFailed, JobCancelled) as error:
        return error.job


def _tell_end(job: Job, view: View) -> None:
    job_id = job["job_id"]
    if job["status"] == "completed":
        view.tell(f"Job {job_id} is completed" + _after(job))
    elif job["status"] == "cancelled":
        to_stderr(f"Job {job_id} was cancelled")
    else:
        error = cells.lines(job["error"] or "for a reason that is not known")
        to_stderr(f"Error: job {job_id} failed: {error}\nIts log: evalserver logs {job_id}")


def _after(job: Job) -> str:
    took = cells.took(job)
    return "" if took == cells.NOTHING else f" after {took}"


def _tell_detached(job_ids: Sequence[str]) -> None:
    named = " ".join(job_ids)
    goes, it = ("goes", "it") if len(job_ids) == 1 else ("go", "them")
    noun = "job" if len(job_ids) == 1 else f"{len(job_ids)} jobs"
    to_stderr(
        f"Detached; the {noun} {goes} on. Come back with: evalserver wait {named}\n"
        f"Or end {it} with: evalserver cancel {named}"
    )


def _cancel(
    client: "EvalClient", job_ids: Sequence[str], view: View, ended: dict[str, Job]
) -> None:
    """Cancel jobs, and wait until they have ended."""
    from evalserver.client import RequestFailed

    named = " ".join(job_ids)
    try:
        to_stderr(f"Cancelling {named}")
        for job_id in job_ids:
            try:
                client.cancel_job(job_id)
            except RequestFailed as error:
                to_stderr(f"Error: {error}")
        for job_id in job_ids:
            ended[job_id] = _end_of(client, job_id, view, None)
            _tell_end(ended[job_id], view)
    except KeyboardInterrupt:
        words = f"Left before all had ended; look with: evalserver wait {named}"
        raise Failure(words, ExitCode.INTERRUPTED) from None


def _show(client: "EvalClient", ended: list[Job], *, as_json: bool) -> None:
    if as_json:
        print_json(ended[0] if len(ended) == 1 else ended)
        return
    completed = [job for job in ended if job["status"] == "completed"]
    merges = [job for job in completed if job["engine"] == MERGE]
    for job in merges:
        click.echo(cells.text(job["request"]["lmms_engine_kwargs"]["output_path"]))
    evaluated = [job for job in completed if job not in merges]
    rows = [
        {**row, "job": job["job_id"]} for job in evaluated for row in client.results(job["job_id"])
    ]
    if evaluated:
        print_results(rows, with_job=len(ended) > 1)


def _code(ended: Any) -> ExitCode:
    statuses = {job["status"] for job in ended}
    if "failed" in statuses:
        return ExitCode.JOB_FAILED
    return ExitCode.CANCELLED if "cancelled" in statuses else ExitCode.DONE
