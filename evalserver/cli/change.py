"""``evalserver cancel``, ``evalserver retry`` and ``evalserver priority``."""

from collections.abc import Sequence
from typing import Any

import click

from evalserver.cli.connection import (
    Server,
    job_argument,
    print_to_stderr,
    resolve_job_id,
    with_server,
)
from evalserver.cli.each_job import message_of, run_for_each
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
            is_filter = selection.is_filter
            done = run_for_each(client.cancel_job, job_ids, as_json=as_json, are_found=is_filter)
            done.exit_if_failed()


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
        done = run_for_each(
            client.retry_job,
            job_ids,
            as_json=as_json and not waits,
            are_found=selection.is_filter,
            line=None if waits else _job_id,
        )
    queued = [_job_id(response) for response in done.responses]
    again = selection.words or " ".join(queued)
    if waits and queued and not done.codes:
        code = wait_for(server, queued, waiting, as_json=as_json, again=again)
        raise click.exceptions.Exit(code)
    follow = f"Follow with: evalserver wait {again}"
    if queued and waits:
        print_to_stderr(f"{_describe_queued(done.responses)}, and not waited for. {follow}")
    elif queued:
        print_hint(lambda: f"{_describe_queued(done.responses)}. {follow}")
    done.exit_if_failed()


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


def _describe_queued(responses: Sequence[dict[str, Any]]) -> str:
    if len(responses) > 1:
        return f"{count_of_jobs(len(responses))} queued"
    return message_of(responses[0])


def _job_id(response: dict[str, Any]) -> str:
    return str(response["job_id"])


def _print(response: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(response)
    else:
        click.echo(response["message"])
