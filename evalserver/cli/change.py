"""``evalserver cancel``, ``evalserver retry`` and ``evalserver priority``."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from evalserver.cli.connection import (
    Server,
    job_argument,
    job_id_of,
    jobs_argument,
    to_stderr,
    with_server,
)
from evalserver.cli.failures import failure_of
from evalserver.cli.screens import as_json, on_terminal, print_json
from evalserver.cli.waiting import Waiting, wait_for, with_waiting


@click.command()
@jobs_argument
@as_json
@with_server
def cancel(server: Server, jobs: tuple[str, ...], as_json: bool) -> None:
    """Cancel jobs, queued or running.

    Each is cancelled also if another one could not be; the exit code is then that of the first
    that could not.
    """
    with server.client() as client:
        do_to_each(client.cancel_job, [job_id_of(client, job) for job in jobs], as_json=as_json)


@click.command()
@job_argument
@click.option("--wait", "-w", "waits", is_flag=True, help="Wait for it, as 'evalserver wait' does.")
@with_waiting()
@as_json
@with_server
def retry(server: Server, job: str, waits: bool, waiting: Waiting, as_json: bool) -> None:
    """Queue a finished job for a further attempt."""
    with server.client() as client:
        answer = client.retry_job(job_id_of(client, job))
    job_id = answer["job_id"]
    if waits:
        raise click.exceptions.Exit(wait_for(server, [job_id], waiting, as_json=as_json))
    if as_json:
        print_json(answer)
    else:
        click.echo(job_id)
        on_terminal(lambda: f"{answer['message']}. Follow it: evalserver wait {job_id}")


@click.command(context_settings={"ignore_unknown_options": True})
@job_argument
@click.argument("number", type=int)
@as_json
@with_server
def priority(server: Server, job: str, number: int, as_json: bool) -> None:
    """Give a job that waits another priority: the higher NUMBER starts first."""
    with server.client() as client:
        answer = client.set_priority(job_id_of(client, job), number)
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["message"])


def do_to_each(
    deed: Callable[[str], dict[str, Any]], job_ids: Sequence[str], *, as_json: bool
) -> None:
    """Have the server do it to each job, also if another's could not be done, and print what it
    answers. The exit code is that of the first that could not."""
    from evalserver.client import RequestFailed

    answers, codes = [], []
    for job_id in job_ids:
        try:
            answers.append(deed(job_id))
        except RequestFailed as error:
            failure = failure_of(error)
            to_stderr(f"Error: {failure.message}")
            codes.append(failure.code)
    if as_json:
        print_json(answers if len(job_ids) > 1 else answers[0] if answers else None)
    else:
        for answer in answers:
            click.echo(answer["message"])
    if codes:
        raise click.exceptions.Exit(codes[0])
