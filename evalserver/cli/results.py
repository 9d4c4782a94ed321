"""``evalserver results``: the metrics of a job."""

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, job_argument, resolve_job_id, with_server
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table

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
    """Show the metrics of a completed job, or those that a failed job has."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other; give one of them")
    with server.client() as client:
        rows = client.results(resolve_job_id(client, job))
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows)
    else:
        print_results(rows)


def print_results(rows: Sequence[Mapping[str, Any]], *, with_job: bool = False) -> None:
    """Print metrics; ``with_job`` adds a column for the job."""
    if not rows:
        print_hint(
            lambda: (
                "There are no metrics: the job merged a checkpoint, ran with --predict-only, or"
                " its tasks only make submission files."
            )
        )
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
        cells.EMPTY if row["n"] is None else str(row["n"]),
    )


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    names = ("task", "metric", "filter", "value", "stderr", "n", "higher_is_better")
    writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
