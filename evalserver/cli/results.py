"""``evalserver results``: the numbers of a completed job."""

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, job_argument, job_id_of, with_server
from evalserver.cli.screens import Column, as_json, on_terminal, print_json, print_table

COLUMNS = (
    Column("TASK"),
    Column("METRIC"),
    Column("VALUE", right=True),
    Column("STDERR", right=True),
    Column("FILTER", optional=True),
    Column("N", right=True, optional=True),
)


@click.command()
@job_argument
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@as_json
@with_server
def results(server: Server, job: str, as_csv: bool, as_json: bool) -> None:
    """Show the numbers of a completed job."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two formats; give one of them")
    with server.client() as client:
        rows = client.results(job_id_of(client, job))
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows)
    else:
        print_results(rows)


def print_results(rows: Sequence[Mapping[str, Any]], *, with_job: bool = False) -> None:
    """Print the numbers of a job; of several, each with its ``job``."""
    if not rows:
        on_terminal(lambda: "It has no numbers: it merged a checkpoint, or was to predict only.")
        return
    if with_job:
        columns = (Column("JOB"), *COLUMNS)
        print_table(columns, [(row["job"], *_row(row)) for row in rows])
    else:
        print_table(COLUMNS, [_row(row) for row in rows])


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        cells.text(row["task"]),
        cells.text(row["metric"]),
        cells.number(row["value"]),
        cells.number(row["stderr"]),
        cells.text(row["filter"]),
        cells.NOTHING if row["n"] is None else str(row["n"]),
    )


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    names = ("task", "metric", "filter", "value", "stderr", "n", "higher_is_better")
    writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
