"""``evalserver in-use``: which jobs still need a checkpoint."""

from collections.abc import Mapping
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, with_server
from evalserver.cli.screens import Column, as_json, print_json, print_table

COLUMNS = (
    Column("JOB"),
    Column("STATUS"),
    Column("STEP", right=True),
    Column("LEASE"),
    Column("NEEDS"),
)


@click.command("in-use")
@click.argument("path")
@as_json
@with_server
def in_use(server: Server, path: str, as_json: bool) -> None:
    """Show which queued and running jobs need PATH, or something below or above it.

    PATH is one on the server's machine. Jobs with a lease of links or copies need these only.
    """
    with server.client() as client:
        jobs = client.in_use(path)
    if as_json:
        print_json(jobs)
        return
    if not jobs:
        click.echo(f"No job needs {path}.")
        return
    print_table(COLUMNS, [_row(each) for each in jobs])


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        cells.job_id(job["job_id"]),
        job["status"],
        cells.optional(None if job["step"] is None else str(job["step"])),
        cells.optional(job["lease"]),
        job["path"],
    )
