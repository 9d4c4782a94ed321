"""``evalserver wait``: wait for jobs."""

import click

from evalserver.cli.connection import Server, job_id_of, jobs_argument, with_server
from evalserver.cli.screens import as_json
from evalserver.cli.waiting import Waiting, wait_for, with_waiting


@click.command()
@jobs_argument
@with_waiting("--timeout")
@as_json
@with_server
def wait(server: Server, jobs: tuple[str, ...], waiting: Waiting, as_json: bool) -> None:
    """Wait until jobs have ended, and show their numbers.

    Exit code 0: all are completed; 1: one failed; 4: one was cancelled; 124: the time is over.
    Ctrl-C leaves the jobs alone.
    """
    with server.client() as client:
        job_ids = [job_id_of(client, job) for job in jobs]
        for job_id in job_ids:
            client.get_job(job_id)
    raise click.exceptions.Exit(wait_for(server, job_ids, waiting, as_json=as_json))
