"""``evalserver merge``: merging a sharded checkpoint."""

from typing import Literal

import click

from evalserver.cli.connection import Server, with_server
from evalserver.cli.screens import as_json, print_hint, print_json
from evalserver.cli.waiting import Waiting, wait_for, with_waiting


@click.command(
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
)
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option(
    "--output-path",
    metavar="PATH",
    help="Path of the merged checkpoint [default: CHECKPOINT itself].",
)
@click.option(
    "--checkpoint-type",
    type=click.Choice(["regular", "ema"]),
    default="regular",
    show_default=True,
    help="The weights to merge.",
)
@click.option(
    "--wait", "-w", "waits", is_flag=True, help="Wait for the job, as 'evalserver wait' does."
)
@with_waiting()
@as_json
@with_server
def merge(
    server: Server,
    checkpoint: str,
    output_path: str | None,
    checkpoint_type: Literal["regular", "ema"],
    waits: bool,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Queue the merge of a sharded checkpoint, and print the job's id.

    CHECKPOINT is its absolute path on the server's machine, or the path of a directory with
    several checkpoint-*, of which the newest is merged.
    """
    with server.client() as client:
        response = client.merge_checkpoint(checkpoint, output_path, checkpoint_type, wait=False)
    job_id = response["job_id"]
    if waits:
        raise click.exceptions.Exit(wait_for(server, [job_id], waiting, as_json=as_json))
    if as_json:
        print_json(response)
        return
    click.echo(job_id)
    print_hint(
        lambda: (
            f"Queued, {response['position_in_queue']} ahead. Follow with: evalserver wait {job_id}"
        )
    )
