"""``evalserver usage``: GPU time by job, token, series, model or month."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, with_server
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table
from evalserver.cli.values import parse_with, time_or_age

Key = Literal["job", "token", "series", "model", "month"]
"""As the client's; help must start without importing the client."""


@click.command()
@click.option(
    "--by",
    type=click.Choice(get_args(Key)),
    default="month",
    show_default=True,
    help="What to sum by.",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=parse_with(time_or_age),
    help="Only attempts that ended since: ISO 8601, or an age like 2h, 30d.",
)
@click.option(
    "--until",
    metavar="TIME",
    callback=parse_with(time_or_age),
    help="Only attempts that ended before; same format.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Maximum number of rows; the total counts all.",
)
@as_json
@with_server
def usage(
    server: Server, by: Key, since: str | None, until: str | None, limit: int, as_json: bool
) -> None:
    """Show how much time evaluations took, and how much of GPUs.

    Attempts that have ended count, also those of pruned jobs, but not those of erased ones. Months
    are in UTC.
    """
    with server.client() as client:
        found = client.usage(by, since=since, until=until, limit=limit)
    if as_json:
        print_json(found)
        return
    columns = (
        Column(by.upper()),
        Column("ATTEMPTS", right=True),
        Column("TIME", right=True),
        Column("GPU-HOURS", right=True),
    )
    total = {"name": "total", **found["total"]}
    print_table(columns, [*(_row(each, by) for each in found["rows"]), _row(total)])
    hidden = found["groups"] - len(found["rows"])
    if hidden:
        print_hint(lambda: f"{hidden} more are in the total only; --limit shows them.")


def _row(usage: Mapping[str, Any], by: Key = "month") -> tuple[str, ...]:
    name = usage["name"]
    return (
        cells.job_id(name) if by == "job" and name is not None else cells.optional(name),
        str(usage["attempts"]),
        cells.duration(usage["seconds"]),
        f"{usage['gpu_seconds'] / cells.HOUR:.2f}",
    )
