"""``evalserver serve``: running the server, with an option for each setting of ServerArgs."""

import os
from pathlib import Path
from typing import Any

import click

from evalserver.cli.settings import (
    HELP_OPTIONS,
    exposed_secrets,
    settings_from_options,
    settings_origins,
    with_settings,
)
from evalserver.settings.sources import misspelled_variables


@click.command(context_settings=HELP_OPTIONS)
@with_settings()
def serve(config: Path | None, **flags: Any) -> None:
    """Run the server until SIGINT or SIGTERM.

    A setting comes from its option, else from its environment variable, else from the TOML file.
    """
    from evalserver.server.cannot_start import CannotStart
    from evalserver.server.http_server import launch_server

    args = settings_from_options(config, flags)
    for name, meant in misspelled_variables(os.environ).items():
        click.echo(f"Warning: the variable {name} has no effect. Did you mean {meant}?", err=True)
    for name in exposed_secrets(flags):
        click.echo(
            f"Warning: every user of this machine can read the value of {name} on the command"
            f" line. Set it in the server's environment, and use --engine-env {name}.",
            err=True,
        )
    try:
        launch_server(args, settings_origins(config, flags))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
