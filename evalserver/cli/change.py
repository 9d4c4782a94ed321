"""``evalserver cancel``, ``evalserver retry`` and ``evalserver priority``."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from evalserver.cli.connection import (
    Server,
    job_argument,
    print_to_stderr,
    resolve_job_id,
    with_server,
)
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import to_failure
from evalserver.cli.screens import as_json, print_hint, print_json
from evalserver.cli.selection import Selection, confirm, jobs_or_filter, yes_option
from evalserver.cli.waiting import Waiting, wait_for, with_waiting
from evalserver.core.wording import count_of_jobs


@click.command()
@jobs_or_filter
@yes_option
@as_json
@with_server
def cancel(server: Server, selection: Selection, yes: bool, as_json: bool) -> None:
    """Cancel queued or running jobs: the given ones, or all with a label or of a batch.

    If one job cannot be cancelled, the others still are; the exit code is that of the first error.
    """
    with server.client() as client:
        job_ids = selection.find(client, ("queued", "running"))
        if selection.is_filter:
            confirm(f"Cancel {count_of_jobs(len(job_ids))}?", yes=yes)
        if selection.is_batch and selection.batch is not None:
            _print(client.cancel_batch(selection.batch), as_json=as_json)
        else:
            run_for_each(client.cancel_job, job_ids, as_json=as_json)


@click.command()
@jobs_or_filter
@yes_option
@click.option(
    "--wait", "-w", "waits", is_flag=True, help="Wait for the job, as 'evalserver wait' does."
)
@with_waiting()
@as_json
@with_server
def retry(
    server: Server,
    selection: Selection,
    yes: bool,
    waits: bool,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Queue finished jobs for another attempt: the given ones, or all failed and cancelled ones
    with a label or of a batch.

    If one job cannot be retried, the others still are; the exit code is that of the first error.
    """
    with server.client() as client:
        job_ids = selection.find(client, ("failed", "cancelled"))
        if selection.is_filter:
            confirm(f"Queue {count_of_jobs(len(job_ids))} for another attempt?", yes=yes)
        responses, codes = call_for_each(client.retry_job, job_ids)
    queued = [response["job_id"] for response in responses]
    if waits and not codes:
        raise click.exceptions.Exit(wait_for(server, queued, waiting, as_json=as_json))
    if as_json:
        _print_responses(responses, is_list=len(job_ids) > 1)
    elif queued:
        click.echo("\n".join(queued))
        message = (
            responses[0]["message"] if len(queued) == 1 else f"{count_of_jobs(len(queued))} queued"
        )
        print_hint(lambda: f"{message}. Follow with: evalserver wait {' '.join(queued)}")
    if codes:
        raise click.exceptions.Exit(codes[0])


@click.command(context_settings={"ignore_unknown_options": True})
@job_argument
@click.argument("number", type=int)
@as_json
@with_server
def priority(server: Server, job: str, number: int, as_json: bool) -> None:
    """Change the priority of a queued job: a higher NUMBER starts first."""
    with server.client() as client:
        response = client.set_priority(resolve_job_id(client, job), number)
    _print(response, as_json=as_json)


def run_for_each(
    operation: Callable[[str], dict[str, Any]], job_ids: Sequence[str], *, as_json: bool
) -> None:
    """Run an operation for each job, continuing after errors, and print the responses. Exits with
    the code of the first error."""
    responses, codes = call_for_each(operation, job_ids)
    if as_json:
        _print_responses(responses, is_list=len(job_ids) > 1)
    else:
        for response in responses:
            click.echo(response["message"])
    if codes:
        raise click.exceptions.Exit(codes[0])


def call_for_each(
    operation: Callable[[str], dict[str, Any]], job_ids: Sequence[str]
) -> tuple[list[dict[str, Any]], list[ExitCode]]:
    """Run an operation for each job; returns the responses, and the codes of the errors, which are
    printed."""
    from evalserver.client import RequestFailed

    responses, codes = [], []
    for job_id in job_ids:
        try:
            responses.append(operation(job_id))
        except RequestFailed as error:
            failure = to_failure(error)
            print_to_stderr(f"Error: {failure.message}")
            codes.append(failure.code)
    return responses, codes


def _print_responses(responses: Sequence[dict[str, Any]], *, is_list: bool) -> None:
    print_json(responses if is_list else responses[0] if responses else None)


def _print(response: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(response)
    else:
        click.echo(response["message"])
