"""``evalserver drain``, ``resume``, ``prune`` and ``erase``: administering the server."""

from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_jobs
from evalserver.cli.connection import Server, resolve_job_id, with_server
from evalserver.cli.each_job import run_for_each
from evalserver.cli.screens import as_json, print_json
from evalserver.cli.selection import confirm, yes_option
from evalserver.cli.values import parse_with, seconds
from evalserver.core.wording import count_of_jobs


@click.command()
@click.option("--reason", metavar="TEXT", help="The reason, shown to users with waiting jobs.")
@as_json
@with_server
def drain(server: Server, reason: str | None, as_json: bool) -> None:
    """Start no more jobs, until 'evalserver resume'.

    Running jobs continue; new jobs are accepted and wait. A restart of the server does not end it.
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
    "--keep",
    type=click.IntRange(min=0),
    help="Remove all finished jobs but this many of the newest.",
)
@click.option(
    "--older-than",
    metavar="TIME",
    callback=parse_with(seconds),
    help="Remove jobs that finished longer ago than this: seconds, or 12h, 30d.",
)
@yes_option
@as_json
@with_server
def prune(
    server: Server,
    jobs: tuple[str, ...],
    keep: int | None,
    older_than: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove finished jobs and their files: the given ones, or by number or age.

    Their numbers stay, for trends and forecasts, and their events in the audit log. Output
    directories that clients chose are kept.
    """
    if (len(jobs) > 0) + (keep is not None) + (older_than is not None) != 1:
        raise click.UsageError("Give one of: JOB..., --keep, --older-than.")
    with server.client() as client:
        if jobs:
            job_ids = [resolve_job_id(client, job) for job in jobs]
            confirm(f"Remove {count_of_jobs(len(job_ids))} with all files?", yes=yes)
            run_for_each(client.prune_job, job_ids, as_json=as_json).exit_if_failed()
        else:
            if not yes:
                found = client.prune(keep=keep, older_than_s=older_than, dry_run=True)
                if not found["pruned"]:
                    _print(found, as_json=as_json)
                    return
                which = (
                    f"all finished jobs but the newest {keep}"
                    if older_than is None
                    else f"all jobs that finished more than {cells.duration(older_than)} ago"
                )
                confirm(
                    f"Remove {count_of_jobs(found['pruned'])} with all files: {which}?", yes=yes
                )
            _print(client.prune(keep=keep, older_than_s=older_than), as_json=as_json)


@click.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete_jobs)
@as_json
@with_server
def erase(server: Server, jobs: tuple[str, ...], as_json: bool) -> None:
    """Remove finished jobs with their files and their numbers, also pruned ones.

    Of a pruned job, give the whole id. Their events stay in the audit log.
    """
    with server.client() as client:
        job_ids = [resolve_job_id(client, job) for job in jobs]
        run_for_each(client.erase, job_ids, as_json=as_json).exit_if_failed()


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["message"])
