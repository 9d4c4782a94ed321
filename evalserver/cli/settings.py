"""Settings on the command line: options made from the table of ``ServerArgs``."""

import os
from collections.abc import Callable
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

import click

from evalserver.cli.failures import with_debug
from evalserver.core.masking import find_secrets
from evalserver.settings.server_args import ServerArgs, command_line_settings
from evalserver.settings.sources import (
    environment_name,
    is_list,
    load_settings,
    number_type,
    origins,
)

Command = Callable[..., Any]

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Give a command the options of these settings, of all when none is named, and ``--config``."""

    def decorate(command: Command) -> Command:
        command = with_debug(_config(command))
        for setting in reversed(command_line_settings(ServerArgs)):
            if not names or setting.name in names:
                option = click.option(
                    _flag(setting),
                    type=_kind(setting),
                    help=_help(setting),
                    multiple=is_list(setting),
                )
                command = option(command)
        return command

    return decorate


def given_settings(config: Path | None, flags: dict[str, Any]) -> ServerArgs:
    """The settings that these options, the environment and the file come to.

    Raises UsageError when one is not allowed.
    """
    try:
        return load_settings(_given(flags), os.environ, config)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def origins_of_settings(config: Path | None, flags: dict[str, Any]) -> dict[str, str]:
    """Where the settings come from that were given, in words."""
    return origins(_given(flags), os.environ, config)


def secrets_on_command_line(flags: dict[str, Any]) -> list[str]:
    """The variables of harnesses whose secret values stand in an option."""
    pairs = (each.partition("=") for each in flags.get("engine_env") or ())
    return [name for name, given, value in pairs if given and find_secrets({name: value})]


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value not in (None, ())}


def _config(command: Command) -> Command:
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="EVALSERVER_CONFIG",
        help="TOML file of settings, named as the options with _ for -. [EVALSERVER_CONFIG]",
    )(command)


def _flag(setting: Field[Any]) -> str:
    return "--" + setting.name.replace("_", "-")


def _kind(setting: Field[Any]) -> type:
    return number_type(setting) or str


def _help(setting: Field[Any]) -> str:
    said = setting.metadata["help"]
    shown = f" [default: {setting.default}]" if _has_default(setting) else ""
    return f"{said}{shown} [{environment_name(setting.name)}]"


def _has_default(setting: Field[Any]) -> bool:
    return setting.default not in (MISSING, None, ())
