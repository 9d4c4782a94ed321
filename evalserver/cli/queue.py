"""``evalserver queue``: what runs, and what waits in which order."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, to_stderr, with_server
from evalserver.cli.screens import Column, as_json, on_terminal, print_json, print_table

if TYPE_CHECKING:
    from evalserver.client import EvalClient

COLUMNS = (
    Column("PLACE", right=True),
    Column("JOB"),
    Column("MODEL", optional=True),
    Column("TASKS", optional=True),
    Column("PRIORITY", right=True, optional=True),
    Column("PROGRESS", optional=True),
    Column("ENDS IN", optional=True),
)


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Waiting jobs to show; --json has the ids of all.",
)
@as_json
@with_server
def queue(server: Server, limit: int, as_json: bool) -> None:
    """Show what runs, and what waits in which order."""
    with server.client() as client:
        found = client.get_queue_status()
        if as_json:
            print_json(found)
            return
        running = found["running_jobs"]
        jobs = _still_there(client, [*running, *found["queued_jobs"][:limit]])
    if jobs:
        print_table(COLUMNS, [_row(job) for job in jobs])
    on_terminal(
        lambda: (
            f"{len(running)} running, {found['queue_size']} queued;"
            f" {found['completed_jobs']} completed, {found['failed_jobs']} failed"
        )
    )
    if "draining" in found:
        to_stderr(_why_nothing_starts(found["draining"]))


def _still_there(client: "EvalClient", job_ids: list[str]) -> list[dict[str, Any]]:
    """The jobs, in this order, without those that have finished meanwhile."""
    from evalserver.client import NotFound, Pruned

    jobs = []
    for job_id in job_ids:
        try:
            job = client.get_job(job_id)
        except (NotFound, Pruned):
            continue
        if job["status"] in ("queued", "running"):
            jobs.append(job)
    return jobs


def _why_nothing_starts(draining: Mapping[str, Any]) -> str:
    reason = "" if draining["reason"] is None else f": {cells.text(draining['reason'])}"
    since, who = cells.moment(draining["since"]), cells.text(draining["by"])
    return f"Draining since {since}, by {who}{reason}. Nothing new is started until it is resumed."


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    request = job["request"]
    place = job["position_in_queue"]
    return (
        "running" if place is None else str(place),
        cells.text(job["job_id"]),
        cells.text(request["model"]),
        cells.text(",".join(request["tasks"])),
        str(job["priority"]),
        cells.NOTHING if job["status"] == "queued" else cells.progress(job),
        cells.duration(job["eta_s"]),
    )
