"""Printing tables and records: with colors on a terminal, as plain text in a pipe, or as JSON.

Cells have the same text in both, and contain no control characters (``cells.py``). One long cell
spoils no column: a terminal folds it, and in a pipe it stands out of its column.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

from evalserver.cli.folding import fold

Row = Sequence[str]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

GAP = 2
"""Spaces between two columns."""

MAX_PADDED = 40
"""Characters of the longest cell to which the others of its column are padded in a pipe."""

FOLDED_WIDTH = 24
"""Characters of the longest cell that widens its column on a terminal at the cost of others."""

STATUS_COLORS = {
    "queued": "yellow",
    "running": "cyan",
    "completed": "green",
    "completed (warnings)": "yellow",
    "failed": "red",
    "cancelled": "magenta",
}
"""The colors of statuses on a terminal."""


@dataclass(frozen=True)
class Column:
    """A column: its title, whether it is right-aligned, and whether it is omitted if the terminal
    is too narrow (the last optional column first). One that ``distinguishes`` rows is omitted only
    if all of its cells are alike."""

    title: str
    right: bool = False
    optional: bool = False
    distinguishes: bool = False


def print_json(value: Any) -> None:
    """Print a value as one indented JSON document."""
    click.echo(_json(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(_json(value, indent=None))


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print a table."""
    if not is_terminal(sys.stdout):
        click.echo("\n".join(plain_table([column.title for column in columns], rows)))
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    widths = column_widths(columns, rows, shutil.get_terminal_size().columns)
    for index, width in widths.items():
        column = columns[index]
        side = "right" if column.right else "left"
        table.add_column(column.title, justify=side, overflow="fold", width=width)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(_color(row[index], width) for index, width in widths.items()))
    _print_rich(table)


def print_record(values: Mapping[str, str]) -> None:
    """Print names with their values, one per line."""
    if not is_terminal(sys.stdout):
        width = max(map(len, values))
        for name, value in values.items():
            first, *more = value.split("\n")
            click.echo("\n".join([f"{name:<{width}}  {first}", *more]).rstrip())
        return
    from rich.table import Table

    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(name, _color(value))
    _print_rich(grid)


def wrap(text: str) -> str:
    """Wrap the lines of a text between words if the output is a terminal."""
    if not is_terminal(sys.stdout):
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(line, width, break_on_hyphens=False) for line in text.split("\n")
    )


def visible_columns(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    """Return the indexes of the columns that ``print_table`` does not omit."""
    if not is_terminal(sys.stdout):
        return list(range(len(columns)))
    return [*column_widths(columns, rows, shutil.get_terminal_size().columns)]


def column_widths(
    columns: Sequence[Column], rows: Sequence[Row], terminal_width: int
) -> dict[int, int | None]:
    """Return the width of each column that a terminal shows, by its index.

    Columns with long cells share what the others leave. The widths are None if even the columns
    that cannot be omitted do not fit.
    """
    lengths = [
        [len(column.title), *(len(row[at]) for row in rows)] for at, column in enumerate(columns)
    ]
    least = [_least_width(each) for each in lengths]
    visible = list(range(len(columns)))
    for at in reversed(range(len(columns))):
        is_needed = columns[at].distinguishes and len({row[at] for row in rows}) > 1
        is_optional = columns[at].optional and not is_needed
        if is_optional and sum(least[each] + GAP for each in visible) > terminal_width:
            visible.remove(at)
    spare = terminal_width - sum(least[at] + GAP for at in visible)
    if spare < 0:
        return dict.fromkeys(visible)
    widths = {at: least[at] for at in visible}
    wishes = sorted((max(lengths[at]) - least[at], at) for at in visible)
    for number, (wish, at) in enumerate(wishes):
        extra = min(wish, spare // (len(wishes) - number))
        widths[at] += extra
        spare -= extra
    return {**widths}


def plain_table(head: Row, rows: Sequence[Row]) -> list[str]:
    """Format a table as lines of aligned text."""
    widths = [_padded_width([row[at] for row in [head, *rows]]) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal; it is None if it was closed before the command
    started."""
    return stream is not None and stream.isatty()


def print_hint(hint: Callable[[], str]) -> None:
    """Print a hint on stderr, if that is a terminal and not a script."""
    if is_terminal(sys.stderr):
        click.echo(hint(), err=True)


def _padded_width(cells: Sequence[str]) -> int:
    """Return the width of a column in a pipe, which longer cells exceed."""
    return max(len(cell) for cell in cells if cell is cells[0] or len(cell) <= MAX_PADDED)


def _least_width(lengths: Sequence[int]) -> int:
    """Return the width of a column, of its title and its cells, in which few cells are folded."""
    short = [length for length in lengths[1:] if length <= FOLDED_WIDTH]
    is_long = 2 * len(short) < len(lengths[1:])
    return max(lengths[0], FOLDED_WIDTH if is_long else 0, *short)


def _color(cell: str, width: int | None = None) -> Any:
    from rich.text import Text

    shown = cell if width is None else fold(cell, width)
    return Text(shown, style=STATUS_COLORS.get(cell, ""))


def _print_rich(renderable: Any) -> None:
    from rich.console import Console

    Console(highlight=False).print(renderable)


def _json(value: Any, indent: int | None) -> str:
    # The encoding of the locale may not have all characters, so they are escaped.
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    return json.dumps(value, indent=indent, ensure_ascii=not unicode, default=str)
