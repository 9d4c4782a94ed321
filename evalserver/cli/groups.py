"""Groups of commands, whose help has the whole first sentence of each command."""

from collections.abc import Iterable

import click

MAX_SENTENCE = 200
"""Characters of a sentence that the help of a group shows."""

NAME_WIDTH = 12
"""Characters of the column of names."""


class CommandGroup(click.Group):
    """A group that wraps the sentences of its commands, where click would cut them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help for the commands."""
        self.write_section(ctx, formatter, "Commands", self.list_commands(ctx))

    def write_section(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
        title: str,
        names: Iterable[str],
    ) -> None:
        """Write the names and sentences of some commands under a title."""
        commands = ((name, self.get_command(ctx, name)) for name in names)
        rows = [(name, each.get_short_help_str(MAX_SENTENCE)) for name, each in commands if each]
        with formatter.section(title):
            formatter.write_dl(rows, col_max=NAME_WIDTH)
