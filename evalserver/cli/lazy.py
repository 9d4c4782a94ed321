"""A group whose commands are loaded when they are needed, so that each starts quickly."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from evalserver.cli.failures import ends_in_words
from evalserver.core.suggestions import did_you_mean

Table = Mapping[str, Mapping[str, str]]
"""Titles; under each, names of commands, and where the command is: ``module:name``."""


class LazyGroup(click.Group):
    """Finds its commands in a table; whatever goes wrong in them becomes words and an exit code."""

    def __init__(self, *args: Any, table: Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._places = {name: place for rows in table.values() for name, place in rows.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, if there is one."""
        if cmd_name not in self._places:
            return None
        module, _, name = self._places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"evalserver.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was asked for. Raises UsageError, naming the nearest known one."""
        name = args[0]
        if name not in self._places and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"There is no command {name!r}.{did_you_mean(name, self._places)}")
        return super().resolve_command(ctx, args)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the words before the command; of these, --help and --version are carried out."""
        with ends_in_words(None):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out what was asked for."""
        with ends_in_words(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, each under its title."""
        for title, names in self._table.items():
            commands = ((name, self.get_command(ctx, name)) for name in names)
            rows = [(name, found.get_short_help_str(60)) for name, found in commands if found]
            with formatter.section(title):
                formatter.write_dl(rows, col_max=12)
