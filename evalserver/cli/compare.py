"""``evalserver compare``: whether the metrics of jobs differ by more than noise."""

from collections.abc import Mapping
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, jobs_argument, resolve_job_id, with_server
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table

COLUMNS = (
    Column("TASK"),
    Column("METRIC"),
    Column("FILTER", optional=True),
    Column("JOB"),
    Column("VALUE", right=True),
    Column("DIFFERENCE", right=True),
    Column("INTERVAL"),
    Column("VERDICT"),
    Column("N", right=True, optional=True),
    Column("METHOD", optional=True),
)


@click.command()
@jobs_argument
@as_json
@with_server
def compare(server: Server, jobs: tuple[str, ...], as_json: bool) -> None:
    """Compare the metrics of completed jobs with those of the first job.

    If both jobs kept samples, document by document, which detects smaller differences.
    """
    if len(jobs) < 2:
        raise click.UsageError("give at least two jobs: the first is the baseline")
    with server.client() as client:
        found = client.compare(*(resolve_job_id(client, job) for job in jobs))
    if as_json:
        print_json(found)
        return
    rows = [
        _row(row, value)
        for row in found["rows"]
        for value in row["values"]
        if value["value"] is not None
    ]
    if rows:
        print_table(COLUMNS, rows)
    else:
        print_hint(
            lambda: (
                "None of the jobs has metrics: they merged checkpoints, or ran with --predict-only."
            )
        )
    print_hint(lambda: _describe_methods(found))


def _row(row: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[str, ...]:
    difference = value["difference"]
    return (
        cells.text(row["task"]),
        cells.text(row["metric"]),
        cells.text(row["filter"]),
        cells.text(value["job_id"]),
        cells.number(value["value"]),
        *(
            _describe_difference(difference)
            if difference
            else [cells.EMPTY, cells.EMPTY, "baseline"]
        ),
        str((difference or {}).get("n") or value["n"] or cells.EMPTY),
        difference["method"] if difference else cells.EMPTY,
    )


def _describe_difference(difference: Mapping[str, Any]) -> list[str]:
    """Format the difference, its interval, and the verdict."""
    low, high = difference["low"], difference["high"]
    interval = cells.EMPTY if low is None else f"{_signed(low)} to {_signed(high)}"
    return [_signed(difference["value"]), interval, _verdict(difference)]


def _verdict(difference: Mapping[str, Any]) -> str:
    if difference["exceeds_noise"] is None:
        return "uncertain"
    if not difference["exceeds_noise"]:
        return "within noise"
    return {True: "better", False: "worse", None: "different"}[difference["improved"]]


def _signed(value: float) -> str:
    return f"+{cells.number(value)}" if value > 0 else cells.number(value)


def _describe_methods(found: Mapping[str, Any]) -> str:
    used = {
        value["difference"]["method"]
        for row in found["rows"]
        for value in row["values"]
        if value["difference"]
    }
    lines = [
        f"{name}: {cells.text(about['formula'])} ({cells.text(about['source'])})"
        for name, about in found["methods"].items()
        if name in used
    ]
    return "\n".join([f"The intervals have a confidence of {found['confidence']:.0%}.", *lines])
