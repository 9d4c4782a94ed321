"""Options for settings, generated from the fields of ``ServerArgs``."""

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
    is_boolean,
    is_list,
    load_settings,
    number_type,
    origins,
)

Command = Callable[..., Any]

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Add ``--config`` and the options of these settings to a command, by default of all."""

    def decorate(command: Command) -> Command:
        command = with_debug(_config(command))
        for setting in reversed(command_line_settings(ServerArgs)):
            if not names or setting.name in names:
                option = click.option(
                    _flag(setting),
                    type=_option_type(setting),
                    help=_help(setting),
                    multiple=is_list(setting),
                    default=None,
                )
                command = option(command)
        return command

    return decorate


def settings_from_options(config: Path | None, flags: dict[str, Any]) -> ServerArgs:
    """Load the settings from these options, the environment and the TOML file.

    Raises UsageError if one is invalid.
    """
    try:
        return load_settings(_options_set(flags), os.environ, config)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def settings_origins(config: Path | None, flags: dict[str, Any]) -> dict[str, str]:
    """Return where each setting that is not a default comes from."""
    return origins(_options_set(flags), os.environ, config)


def exposed_secrets(flags: dict[str, Any]) -> list[str]:
    """Return the harness variables whose secret values are on the command line."""
    pairs = (each.partition("=") for each in flags.get("engine_env") or ())
    return [name for name, given, value in pairs if given and find_secrets({name: value})]


def _options_set(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value not in (None, ())}


def _config(command: Command) -> Command:
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="EVALSERVER_CONFIG",
        help="TOML file of settings, named like the options with _ for -. [EVALSERVER_CONFIG]",
    )(command)


def _flag(setting: Field[Any]) -> str:
    name = setting.name.replace("_", "-")
    return f"--{name}/--no-{name}" if is_boolean(setting) else f"--{name}"


def _option_type(setting: Field[Any]) -> type:
    return bool if is_boolean(setting) else number_type(setting) or str


def _help(setting: Field[Any]) -> str:
    text = setting.metadata["help"]
    default = f" [default: {setting.default}]" if _has_default(setting) else ""
    return f"{text}{default} [{environment_name(setting.name)}]"


def _has_default(setting: Field[Any]) -> bool:
    return setting.default not in (MISSING, None, (), False)
