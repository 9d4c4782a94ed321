"""``evalserver compare``: whether the numbers of jobs differ by more than noise."""

from collections.abc import Mapping
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, job_id_of, jobs_argument, with_server
from evalserver.cli.screens import Column, as_json, on_terminal, print_json, print_table

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
    Column("HOW", optional=True),
)


@click.command()
@jobs_argument
@as_json
@with_server
def compare(server: Server, jobs: tuple[str, ...], as_json: bool) -> None:
    """Compare the numbers of completed jobs with those of the first one.

    Where both kept samples, document by document: that tells smaller differences from noise.
    """
    if len(jobs) < 2:
        raise click.UsageError("name two jobs or more: the first is what the others differ from")
    with server.client() as client:
        found = client.compare(*(job_id_of(client, job) for job in jobs))
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
        on_terminal(lambda: "None of the jobs has a number: they merged, or were to predict only.")
    on_terminal(lambda: _translate_errors(found))


def _row(row: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[str, ...]:
    difference = value["difference"]
    return (
        cells.text(row["task"]),
        cells.text(row["metric"]),
        cells.text(row["filter"]),
        cells.text(value["job_id"]),
        cells.number(value["value"]),
        *(_told(difference) if difference else [cells.NOTHING, cells.NOTHING, "baseline"]),
        str((difference or {}).get("n") or value["n"] or cells.NOTHING),
        difference["method"] if difference else cells.NOTHING,
    )


def _told(difference: Mapping[str, Any]) -> list[str]:
    """The difference, its interval, and what that means."""
    low, high = difference["low"], difference["high"]
    interval = cells.NOTHING if low is None else f"{_signed(low)} to {_signed(high)}"
    return [_signed(difference["value"]), interval, _verdict(difference)]


def _verdict(difference: Mapping[str, Any]) -> str:
    if difference["exceeds_noise"] is None:
        return "uncertain"
    if not difference["exceeds_noise"]:
        return "within noise"
    return {True: "better", False: "worse", None: "different"}[difference["improved"]]


def _signed(value: float) -> str:
    return f"+{cells.number(value)}" if value > 0 else cells.number(value)


def _translate_errors(found: Mapping[str, Any]) -> str:
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
    return "\n".join([f"The intervals are those of {found['confidence']:.0%}.", *lines])
