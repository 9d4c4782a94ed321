"""``evalserver executors``: where jobs run, what is there, and the nodes of clusters."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, with_server
from evalserver.cli.screens import Column, as_json, print_json, print_table

EXECUTORS = (
    Column("EXECUTOR"),
    Column("TYPE"),
    Column("RUNNING", right=True),
    Column("WAITING", right=True, optional=True),
    Column("AT MOST", right=True, optional=True),
    Column("FAULT", optional=True),
)
NODES = (
    Column("EXECUTOR"),
    Column("NODE"),
    Column("PARTITIONS"),
    Column("STATE"),
    Column("RESOURCES", optional=True),
    Column("USED", optional=True),
    Column("REASON", optional=True),
)
JOBS = (
    Column("EXECUTOR"),
    Column("JOB"),
    Column("STATUS"),
    Column("ID THERE"),
    Column("NODE", optional=True),
    Column("LOOK WITH"),
    Column("WAITS FOR", optional=True),
)


@click.command()
@as_json
@with_server
def executors(server: Server, as_json: bool) -> None:
    """Show where jobs run: this server's machine and its clusters, their nodes, and the jobs there.

    The jobs of clusters have their id there, and the command that shows it.
    """
    with server.client() as client:
        found = client.executors()
    if as_json:
        print_json(found)
        return
    print_table(EXECUTORS, [_executor_row(each) for each in found])
    _print_part(NODES, [_node_row(each, node) for each in found for node in each["nodes"]])
    clusters = [each for each in found if each["type"] != "local"]
    _print_part(JOBS, [_job_row(each, job) for each in clusters for job in each["jobs"]])


def _print_part(columns: Sequence[Column], rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        click.echo()
        print_table(columns, rows)


def _executor_row(executor: Mapping[str, Any]) -> tuple[str, ...]:
    statuses = [job["status"] for job in executor["jobs"]]
    return (
        cells.text(executor["name"]),
        cells.text(executor["type"]),
        str(statuses.count("running")),
        cells.EMPTY if executor["type"] == "local" else str(statuses.count("queued")),
        cells.optional(executor["max_handed_over"]),
        cells.shorten(executor["fault"], cells.REASON_LENGTH),
    )


def _node_row(executor: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        cells.text(executor["name"]),
        cells.text(node["name"]),
        cells.text(", ".join(node["partitions"])),
        cells.text(node["state"]),
        cells.optional(node["resources"]),
        cells.optional(node["used"]),
        cells.shorten(node["reason"], cells.REASON_LENGTH),
    )


def _job_row(executor: Mapping[str, Any], job: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        cells.text(executor["name"]),
        cells.job_id(job["job_id"]),
        cells.text(job["status"]),
        cells.optional(job["id"]),
        cells.optional(job["node"]),
        cells.optional(job["command"]),
        cells.shorten(job["reason"], cells.REASON_LENGTH),
    )
