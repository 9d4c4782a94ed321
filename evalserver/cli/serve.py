"""``evalserver serve``: every setting of ServerArgs is an option of it."""

import os
from pathlib import Path
from typing import Any

import click

from evalserver.cli.settings import (
    HELP_NAMES,
    given_settings,
    origins_of_settings,
    secrets_on_command_line,
    with_settings,
)
from evalserver.settings.sources import misspelled_variables


@click.command(context_settings=HELP_NAMES)
@with_settings()
def serve(config: Path | None, **flags: Any) -> None:
    """Run the server until SIGINT or SIGTERM.

    A setting is taken from its option, else from its variable, else from the TOML file.
    """
    from evalserver.server.application import CannotStart
    from evalserver.server.http_server import launch_server

    args = given_settings(config, flags)
    for name, meant in misspelled_variables(os.environ).items():
        click.echo(f"Warning: {name} sets nothing. Did you mean {meant}?", err=True)
    for name in secrets_on_command_line(flags):
        click.echo(
            f"Warning: every user of this machine can read the value of {name} on this command"
            f" line. Put it into the server's environment, and say --engine-env {name}.",
            err=True,
        )
    try:
        launch_server(args, origins_of_settings(config, flags))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
