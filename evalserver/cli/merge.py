"""``evalserver merge``: one checkpoint of the shards that training has left."""

from typing import Literal

import click

from evalserver.cli.connection import Server, with_server
from evalserver.cli.screens import as_json, on_terminal, print_json
from evalserver.cli.waiting import Waiting, wait_for, with_waiting


@click.command(
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")},
)
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option(
    "--output-path", metavar="PATH", help="Where the merged one goes [default: CHECKPOINT itself]."
)
@click.option(
    "--checkpoint-type",
    type=click.Choice(["regular", "ema"]),
    default="regular",
    show_default=True,
    help="Which weights.",
)
@click.option("--wait", "-w", "waits", is_flag=True, help="Wait for it, as 'evalserver wait' does.")
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
    """Queue the merge of a checkpoint in shards, and print its job's id.

    CHECKPOINT is the whole path of it on the server's machine, or of a directory with several
    checkpoint-*, of which the newest is meant.
    """
    with server.client() as client:
        answer = client.merge_checkpoint(checkpoint, output_path, checkpoint_type, wait=False)
    job_id = answer["job_id"]
    if waits:
        raise click.exceptions.Exit(wait_for(server, [job_id], waiting, as_json=as_json))
    if as_json:
        print_json(answer)
        return
    click.echo(job_id)
    on_terminal(
        lambda: f"Queued, {answer['position_in_queue']} before it. Follow: evalserver wait {job_id}"
    )
