"""The sources of settings: command-line flags, environment variables, a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any

from evalserver.core.suggestions import closest_names
from evalserver.settings.server_args import ServerArgs, command_line_settings

ENVIRONMENT_PREFIX = "EVALSERVER_"

RESERVED_VARIABLES = (
    "EVALSERVER_URL",
    "EVALSERVER_TOKEN",
    "EVALSERVER_CONFIG",
    "EVALSERVER_CRASH_AT",
    "EVALSERVER_CGROUPS",
)
"""Variables of clients, of the command line and of tests, which are not settings."""


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None
) -> ServerArgs:
    """Load settings by precedence: flag, ``EVALSERVER_*`` variable, TOML file, default.

    ``flags`` holds only those that were given. Raises ValueError as ``ServerArgs`` does, and if the
    file cannot be read or is not TOML.
    """
    return ServerArgs.from_dict({**_from_file(config), **_from_environment(environment), **flags})


def origins(
    flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None
) -> dict[str, str]:
    """Return the source of each setting that does not have its default, for people."""
    return {
        **dict.fromkeys(_from_file(config), f"the file {config}"),
        **{name: environment_name(name) for name in _from_environment(environment)},
        **{name: f"--{name.replace('_', '-')}" for name in flags},
    }


def misspelled_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return unknown ``EVALSERVER_*`` variables, each with the variable that was probably meant."""
    known = [environment_name(setting.name) for setting in command_line_settings(ServerArgs)]
    return {
        name: matches[0]
        for name in environment
        if name.startswith(ENVIRONMENT_PREFIX) and name not in (*known, *RESERVED_VARIABLES)
        if (matches := closest_names(name, known, 1))
    }


def environment_name(setting: str) -> str:
    """Return the environment variable of a setting: ``EVALSERVER_DATA_DIR`` for ``data_dir``."""
    return ENVIRONMENT_PREFIX + setting.upper()


def _from_file(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the configuration file {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{config} is not valid TOML: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in command_line_settings(ServerArgs):
        text = environment.get(environment_name(setting.name))
        if text is not None:
            if is_list(setting):
                values[setting.name] = tuple(part for part in text.split(",") if part)
                continue
            variable = environment_name(setting.name)
            values[setting.name] = (
                _parse_switch(variable, text)
                if is_boolean(setting)
                else _parse_value(variable, text, number_type(setting))
            )
    return values


def is_list(setting: Field[Any]) -> bool:
    """Return whether a setting is a list of strings, which a variable separates by commas."""
    return setting.type == tuple[str, ...]


def is_boolean(setting: Field[Any]) -> bool:
    """Return whether a setting is true or false."""
    return setting.type is bool


def number_type(setting: Field[Any]) -> type[int] | type[float] | None:
    """Return int or float for a setting that is a number; None for one that is a string."""
    if setting.type in (int, int | None):
        return int
    return float if setting.type in (float, float | None) else None


def _parse_switch(variable: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{variable} must be true or false, got {text!r}")
    return text == "true"


def _parse_value(variable: str, text: str, kind: type[int] | type[float] | None) -> Any:
    if kind is None:
        return text
    try:
        return kind(text)
    except ValueError:
        expected = "an integer" if kind is int else "a number"
        raise ValueError(f"{variable} must be {expected}, got {text!r}") from None
