"""``evalserver drain``, ``resume`` and ``prune``: what administrators do to the server."""

from typing import Any

import click

from evalserver.cli.change import do_to_each
from evalserver.cli.completing import complete_jobs
from evalserver.cli.connection import Server, job_id_of, with_server
from evalserver.cli.screens import as_json, print_json
from evalserver.cli.values import read_with, seconds


@click.command()
@click.option("--reason", metavar="TEXT", help="Why; whoever has a job that waits is told.")
@as_json
@with_server
def drain(server: Server, reason: str | None, as_json: bool) -> None:
    """Start nothing new, until 'evalserver resume'.

    What runs goes on; what is submitted is taken, and waits. It holds also when the server is
    restarted.
    """
    with server.client() as client:
        _print(client.drain(reason), as_json=as_json)


@click.command()
@as_json
@with_server
def resume(server: Server, as_json: bool) -> None:
    """Start jobs again, after 'evalserver drain'."""
    with server.client() as client:
        _print(client.resume(), as_json=as_json)


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=complete_jobs)
@click.option(
    "--keep", type=click.IntRange(min=0), help="All finished jobs but the newest so many."
)
@click.option(
    "--older-than",
    metavar="TIME",
    callback=read_with(seconds),
    help="Those that finished longer ago: seconds, or 12h, 30d.",
)
@as_json
@with_server
def prune(
    server: Server,
    jobs: tuple[str, ...],
    keep: int | None,
    older_than: float | None,
    as_json: bool,
) -> None:
    """Remove finished jobs with their files: these, or by number or age.

    The audit log remembers them. What a client named as its job's output directory stays.
    """
    if (len(jobs) > 0) + (keep is not None) + (older_than is not None) != 1:
        raise click.UsageError("Give one of: JOB..., --keep, --older-than.")
    with server.client() as client:
        if jobs:
            job_ids = [job_id_of(client, job) for job in jobs]
            do_to_each(client.prune_job, job_ids, as_json=as_json)
        else:
            _print(client.prune(keep=keep, older_than_s=older_than), as_json=as_json)


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["message"])
