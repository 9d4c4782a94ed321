"""``evalserver results``: the metrics of a job."""

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_jobs
from evalserver.cli.connection import Server, resolve_batch_id, resolve_job_id, with_server
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table

COLUMNS = (
    Column("TASK"),
    Column("METRIC"),
    Column("VALUE", right=True),
    Column("STDERR", right=True),
    Column("FILTER", optional=True, distinguishes=True),
    Column("N", right=True, optional=True),
)

JOB_NAMES = ("job_id", "status", "model", "labels")
"""What a line of CSV has of its job."""

JOB_COLUMNS = (Column("JOB"), Column("STATUS"), Column("MODEL", optional=True))


@click.command()
@click.argument("job", metavar="[JOB]", required=False, shell_complete=complete_jobs)
@click.option("--batch", metavar="ID", help="All finished jobs of this batch.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@as_json
@with_server
def results(
    server: Server, job: str | None, batch: str | None, as_csv: bool, as_json: bool
) -> None:
    """Show the metrics of a completed job, or those that a failed job has; or of a batch."""
    if (job is None) == (batch is None):
        raise click.UsageError("Give JOB, or else --batch.")
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other; give one of them")
    with server.client() as client:
        if batch is None:
            rows = client.results(resolve_job_id(client, str(job)))
        else:
            rows = list(client.batch_results(resolve_batch_id(client, batch)))
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows, () if batch is None else JOB_NAMES)
    elif batch is None:
        print_results(rows)
    else:
        _print_rows_of_jobs(rows)


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
    _print_rows([(job, row) for job, found in results for row in found or [_without_metrics(job)]])


def _print_rows_of_jobs(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the metrics of the jobs of a batch."""
    if rows:
        _print_rows([({**row, "request": row}, row) for row in rows])
        return
    print_hint(lambda: "There are no metrics: no job of the batch has completed.")


def _print_rows(rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    lines = _lines([row for _, row in rows])
    names = cells.job_ids(job["job_id"] for job, _ in rows)
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


def _print_csv(rows: Sequence[Mapping[str, Any]], of_job: Sequence[str]) -> None:
    names = (*of_job, "task", "metric", "filter", "value", "stderr", "n", "higher_is_better")
    writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "labels": cells.pairs(row.get("labels") or {})})
