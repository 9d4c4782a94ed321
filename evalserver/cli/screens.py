"""What is printed: tables with colours on a terminal, aligned plain text in a pipe, JSON.

The cells are the same in both; they hold nothing that could steer a terminal (``cells.py``).
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

Row = Sequence[str]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

GAP = 2
"""Blanks between two columns."""

WORDS_OF_STATUS = {
    "queued": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
}
"""Cells that have a colour on a terminal."""


@dataclass(frozen=True)
class Column:
    """A column: its title, whether its cells stand at the right, and whether it may be left out on
    a narrow terminal: of those that may, the last goes first."""

    title: str
    right: bool = False
    optional: bool = False


def print_json(value: Any) -> None:
    """Print a value as one JSON document that a person can read too."""
    click.echo(_json(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print a value as a line of JSON, one of many."""
    click.echo(_json(value, indent=None))


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print rows under titles."""
    if not is_terminal(sys.stdout):
        click.echo("\n".join(plain_table([column.title for column in columns], rows)))
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    shown = _fitting(columns, rows, shutil.get_terminal_size().columns)
    for at in shown:
        column = columns[at]
        side = "right" if column.right else "left"
        table.add_column(column.title, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(_coloured(row[at]) for at in shown))
    _print_rich(table)


def print_record(values: Mapping[str, str]) -> None:
    """Print names with their values, one below the other."""
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
        grid.add_row(name, _coloured(value))
    _print_rich(grid)


def plain_table(head: Row, rows: Sequence[Row]) -> list[str]:
    """Lines of aligned text."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at it; None is a stream that was closed before the command began."""
    return stream is not None and stream.isatty()


def on_terminal(say: Callable[[], str]) -> None:
    """Say something to a person who looks; a script does not get it."""
    if is_terminal(sys.stderr):
        click.echo(say(), err=True)


def _fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[int]:
    """The columns that have room beside each other."""
    widths = [
        max(len(cell) for cell in [column.title, *(row[at] for row in rows)])
        for at, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    for at in reversed(range(len(columns))):
        if columns[at].optional and sum(widths[each] + GAP for each in shown) > width:
            shown.remove(at)
    return shown


def _coloured(cell: str) -> Any:
    from rich.text import Text

    return Text(cell, style=WORDS_OF_STATUS.get(cell, ""))


def _print_rich(renderable: Any) -> None:
    from rich.console import Console

    Console(highlight=False).print(renderable)


def _json(value: Any, indent: int | None) -> str:
    # Escapes are JSON in every encoding that a terminal or a locale may have.
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    return json.dumps(value, indent=indent, ensure_ascii=not unicode, default=str)
