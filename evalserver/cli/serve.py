"""``evalserver serve``: every setting of ServerArgs is an option of it."""

import os
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import click

from evalserver.server_args import ServerArgs, environment_name, load_settings

Command = Callable[..., Any]


def _with_settings(command: Command) -> Command:
    for setting in reversed(fields(ServerArgs)):
        command = click.option(_flag(setting), type=_kind(setting), help=_help(setting))(command)
    return command


def _flag(setting: Field[Any]) -> str:
    return "--" + setting.name.replace("_", "-")


def _kind(setting: Field[Any]) -> type:
    return setting.type if setting.type in (int, float) else str


def _help(setting: Field[Any]) -> str:
    said = setting.metadata["help"]
    shown = f" [default: {setting.default}]" if _has_default(setting) else ""
    return f"{said}{shown} [{environment_name(setting.name)}]"


def _has_default(setting: Field[Any]) -> bool:
    return setting.default is not MISSING and setting.default is not None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@_with_settings
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="EVALSERVER_CONFIG",
    help="TOML file of settings, named as the options with _ for -. [EVALSERVER_CONFIG]",
)
def serve(config: Path | None, **flags: Any) -> None:
    """Run the server until SIGINT or SIGTERM.

    A setting is taken from its option, else from its variable, else from the TOML file.
    """
    from evalserver.http_server import CannotStart, launch_server

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        launch_server(load_settings(given, os.environ, config))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except CannotStart as error:
        raise click.ClickException(str(error)) from error
