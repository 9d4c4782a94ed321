"""``evalserver wait``: waiting for jobs."""

import click

from evalserver.cli.batch_waiting import wait_for_batch
from evalserver.cli.connection import Server, print_to_stderr, with_server
from evalserver.cli.screens import as_json
from evalserver.cli.selection import STATUSES, Selection, jobs_or_filter
from evalserver.cli.waiting import Waiting, wait_for, with_waiting
from evalserver.core.wording import count_of_jobs


@click.command()
@jobs_or_filter
@with_waiting("--timeout")
@as_json
@with_server
def wait(server: Server, selection: Selection, waiting: Waiting, as_json: bool) -> None:
    """Wait until jobs have ended, and show their metrics; of a batch, how many ended how.

    Exit code 0: all are completed; 1: one failed; 4: one was cancelled; 124: timed out.
    Ctrl-C does not cancel the jobs.
    """
    if selection.is_batch and selection.batch is not None:
        with server.client() as client:
            selection.resolve_batch(client)
        code = wait_for_batch(server, selection.batch, waiting, as_json=as_json)
        raise click.exceptions.Exit(code)
    with server.client() as client:
        job_ids = selection.find(client, STATUSES)
        if not selection.is_filter:
            for job_id in job_ids:
                client.get_job(job_id)
    if selection.is_filter and not waiting.quiet:
        print_to_stderr(f"Waiting for {count_of_jobs(len(job_ids))}")
    raise click.exceptions.Exit(
        wait_for(server, job_ids, waiting, as_json=as_json, again=selection.words)
    )
