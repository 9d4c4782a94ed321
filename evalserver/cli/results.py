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
    Column("FILTER", optional=True, distinguishes=True),
    Column("N", right=True, optional=True),
)

JOB_COLUMNS = (Column("JOB"), Column("STATUS"), Column("MODEL", optional=True))


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


def print_results(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the metrics of a job."""
    if rows:
        print_table(COLUMNS, _lines(rows))
        return
    print_hint(
        lambda: (
            "There are no metrics: the job merged a checkpoint, ran with --predict-only, or"
            " its tasks only make submission files."
        )
    )


def print_results_of_jobs(
    results: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]],
) -> None:
    """Print the metrics of several jobs; a job without metrics has a line of its own."""
    rows = [(job, row) for job, found in results for row in found or [_without_metrics(job)]]
    lines = _lines([row for _, row in rows])
    names = cells.job_ids(job["job_id"] for job, _ in results)
    print_table(
        JOB_COLUMNS + COLUMNS,
        [
            (names[job["job_id"]], cells.status(job), cells.model(job["request"]), *line)
            for (job, _), line in zip(rows, lines, strict=True)
        ],
    )


def _without_metrics(job: Mapping[str, Any]) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("metric", "value", "stderr", "filter", "n"))
    return {**nothing, "task": cells.tasks(job["request"]["tasks"])}


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    values = cells.numbers([row["value"] for row in rows])
    stderrs = cells.numbers([row["stderr"] for row in rows])
    return [
        (
            cells.text(row["task"]),
            cells.optional(row["metric"]),
            value,
            stderr,
            cells.optional(row["filter"]),
            cells.optional(row["n"]),
        )
        for row, value, stderr in zip(rows, values, stderrs, strict=True)
    ]


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    names = ("task", "metric", "filter", "value", "stderr", "n", "higher_is_better")
    writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
