"""``evalserver catalog``: the server's lists of tasks and models."""

from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, engine_option, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.groups import CommandGroup
from evalserver.cli.screens import as_json, print_json


@click.group(cls=CommandGroup)
def catalog() -> None:
    """Maintain the server's lists of tasks and models."""


@catalog.command()
@engine_option
@as_json
@with_server
def refresh(server: Server, engine: str | None, as_json: bool) -> None:
    """Ask harnesses again for their tasks and models: all, or that of --engine.

    The lists are also renewed by themselves when a version or the files of a harness or of the task
    definitions have changed. Exit code 1 if the engine that was named, or every engine, cannot be
    asked.
    """
    with server.client() as client:
        found = client.refresh_catalog(engine)["engines"]
    if as_json:
        print_json(found)
    else:
        for each in found:
            click.echo(cells.text(_line(each)))
    if all(each["error"] for each in found):
        raise click.exceptions.Exit(ExitCode.JOB_FAILED)


def _line(found: dict[str, Any]) -> str:
    if found["error"]:
        return f"{found['engine']}: {found['error']}"
    counts = ", ".join(
        f"{found[name]} {name.removesuffix('s') if found[name] == 1 else name}"
        for name in ("tasks", "models")
    )
    return f"{found['engine']} {found['version']}: {counts}, {found['seconds']:.1f} s"
