"""``evalserver wait``: waiting for jobs."""

import click

from evalserver.cli.connection import Server, jobs_argument, resolve_job_id, with_server
from evalserver.cli.screens import as_json
from evalserver.cli.waiting import Waiting, wait_for, with_waiting


@click.command()
@jobs_argument
@with_waiting("--timeout")
@as_json
@with_server
def wait(server: Server, jobs: tuple[str, ...], waiting: Waiting, as_json: bool) -> None:
    """Wait until jobs have ended, and show their metrics.

    Exit code 0: all are completed; 1: one failed; 4: one was cancelled; 124: timed out.
    Ctrl-C does not cancel the jobs.
    """
    with server.client() as client:
        job_ids = [resolve_job_id(client, job) for job in jobs]
        for job_id in job_ids:
            client.get_job(job_id)
    raise click.exceptions.Exit(wait_for(server, job_ids, waiting, as_json=as_json))
