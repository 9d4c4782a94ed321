"""``evalserver gpus``: the GPUs that the server manages, and taking one out of use."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from evalserver.cli import cells
from evalserver.cli.connection import Server, with_server
from evalserver.cli.groups import CommandGroup
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table

COLUMNS = (
    Column("GPU"),
    Column("NAME", optional=True),
    Column("STATUS"),
    Column("MEMORY", right=True, optional=True),
    Column("USE", right=True, optional=True),
    Column("HELD BY, OR WHY NOT FREE"),
    Column("SINCE", optional=True),
)
GIB = 1024**3


@click.group(cls=CommandGroup, invoke_without_command=True)
@as_json
@with_server
def gpus(server: Server, as_json: bool) -> None:
    """Show the GPUs that the server manages: who holds them, and what they do."""
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        _reject_options(context)
        return
    with server.client() as client:
        found = client.gpus()
    if as_json:
        print_json(found)
    elif found:
        print_table(COLUMNS, [_row(gpu) for gpu in found])
    else:
        print_hint(
            lambda: "The server manages no GPUs; it was started with --gpus none (--gpus auto: all)"
        )


@gpus.command()
@click.argument("gpu", metavar="GPU")
@click.option("--reason", metavar="TEXT", help="The reason, shown to users with waiting jobs.")
@as_json
@with_server
def cordon(server: Server, gpu: str, reason: str | None, as_json: bool) -> None:
    """Start nothing on a GPU, named by its index or UUID, until 'evalserver gpus uncordon'.

    A job that holds it runs on until it ends. A restart of the server does not end it.
    """
    with server.client() as client:
        _print(client.cordon_gpu(gpu, reason), as_json=as_json)


@gpus.command()
@click.argument("gpu", metavar="GPU")
@as_json
@with_server
def uncordon(server: Server, gpu: str, as_json: bool) -> None:
    """Start jobs on a GPU again, after 'evalserver gpus cordon' or a quarantine by the server."""
    with server.client() as client:
        _print(client.uncordon_gpu(gpu), as_json=as_json)


def _reject_options(context: click.Context) -> None:
    """Options before the name of a subcommand would have no effect."""
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"Give {parameter.opts[0]} after '{context.invoked_subcommand}', not before it."
            )


def _row(gpu: Mapping[str, Any]) -> tuple[str, ...]:
    holder, quarantine = gpu["holder"], gpu["quarantine"]
    why = cells.shorten(gpu["reason"], cells.REASON_LENGTH)
    if holder:
        name = cells.job_id(holder["id"]) if holder["kind"] == "job" else cells.text(holder["id"])
        why = f"{cells.text(holder['kind'])} {name}"
    quarantined = " (quarantined)" if holder and quarantine else ""
    since = (holder or quarantine or {}).get("since")
    return (
        cells.text(gpu["id"] if gpu["index"] is None else gpu["index"]),
        cells.optional(gpu["name"]),
        f"{cells.text(gpu['status'])}{quarantined}",
        _memory(gpu),
        cells.EMPTY if gpu["utilization"] is None else f"{gpu['utilization']} %",
        why,
        cells.local_time(since),
    )


def _memory(gpu: Mapping[str, Any]) -> str:
    if gpu["memory_used"] is None:
        return cells.EMPTY
    return f"{gpu['memory_used'] / GIB:.1f} / {gpu['memory_total'] / GIB:.0f} GiB"


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        click.echo(cells.text(answer["message"]))
