"""``evalserver cancel``, ``evalserver retry`` and ``evalserver priority``."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from evalserver.cli.connection import (
    Server,
    job_argument,
    jobs_argument,
    print_to_stderr,
    resolve_job_id,
    with_server,
)
from evalserver.cli.failures import to_failure
from evalserver.cli.screens import as_json, print_hint, print_json
from evalserver.cli.waiting import Waiting, wait_for, with_waiting


@click.command()
@jobs_argument
@as_json
@with_server
def cancel(server: Server, jobs: tuple[str, ...], as_json: bool) -> None:
    """Cancel queued or running jobs.

    If one job cannot be cancelled, the others still are; the exit code is that of the first error.
    """
    with server.client() as client:
        run_for_each(
            client.cancel_job, [resolve_job_id(client, job) for job in jobs], as_json=as_json
        )


@click.command()
@job_argument
@click.option(
    "--wait", "-w", "waits", is_flag=True, help="Wait for the job, as 'evalserver wait' does."
)
@with_waiting()
@as_json
@with_server
def retry(server: Server, job: str, waits: bool, waiting: Waiting, as_json: bool) -> None:
    """Queue a finished job for another attempt."""
    with server.client() as client:
        response = client.retry_job(resolve_job_id(client, job))
    job_id = response["job_id"]
    if waits:
        raise click.exceptions.Exit(wait_for(server, [job_id], waiting, as_json=as_json))
    if as_json:
        print_json(response)
    else:
        click.echo(job_id)
        print_hint(lambda: f"{response['message']}. Follow it with: evalserver wait {job_id}")


@click.command(context_settings={"ignore_unknown_options": True})
@job_argument
@click.argument("number", type=int)
@as_json
@with_server
def priority(server: Server, job: str, number: int, as_json: bool) -> None:
    """Change the priority of a queued job: a higher NUMBER starts first."""
    with server.client() as client:
        response = client.set_priority(resolve_job_id(client, job), number)
    if as_json:
        print_json(response)
    else:
        click.echo(response["message"])


def run_for_each(
    operation: Callable[[str], dict[str, Any]], job_ids: Sequence[str], *, as_json: bool
) -> None:
    """Run an operation for each job, continuing after errors, and print the responses. Exits with
    the code of the first error."""
    from evalserver.client import RequestFailed

    responses, codes = [], []
    for job_id in job_ids:
        try:
            responses.append(operation(job_id))
        except RequestFailed as error:
            failure = to_failure(error)
            print_to_stderr(f"Error: {failure.message}")
            codes.append(failure.code)
    if as_json:
        print_json(responses if len(job_ids) > 1 else responses[0] if responses else None)
    else:
        for response in responses:
            click.echo(response["message"])
    if codes:
        raise click.exceptions.Exit(codes[0])
