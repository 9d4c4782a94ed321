"""A group that imports its commands when they are needed, so that each starts quickly."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from evalserver.cli.failures import report_errors
from evalserver.cli.groups import CommandGroup
from evalserver.core.suggestions import did_you_mean

Table = Mapping[str, Mapping[str, str]]
"""Section titles, and the commands in each: names, and locations as ``module:name``."""


class LazyGroup(CommandGroup):
    """Finds its commands in a table, and turns their errors into messages and exit codes."""

    def __init__(self, *args: Any, table: Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._locations = {
            name: location for rows in table.values() for name, location in rows.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self._locations)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        if cmd_name not in self._locations:
            return None
        module, _, name = self._locations[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"evalserver.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError, suggesting the most similar name."""
        name = args[0]
        if name not in self._locations and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"There is no command {name!r}.{did_you_mean(name, self._locations)}")
        return super().resolve_command(ctx, args)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the options before the command; --help and --version are executed."""
        with report_errors(None):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with report_errors(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help for the commands, by section."""
        for title, names in self._table.items():
            self.write_section(ctx, formatter, title, names)
