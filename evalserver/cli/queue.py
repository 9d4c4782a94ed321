"""``evalserver queue``: the running jobs, and the queued jobs in their order."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, print_to_stderr, with_server
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table

if TYPE_CHECKING:
    from evalserver.client import EvalClient

COLUMNS = (
    Column("POSITION", right=True),
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
    help="Maximum number of queued jobs; --json has the ids of all.",
)
@as_json
@with_server
def queue(server: Server, limit: int, as_json: bool) -> None:
    """Show the running jobs, and the queued jobs in their order."""
    with server.client() as client:
        found = client.get_queue_status()
        if as_json:
            print_json(found)
            return
        running = found["running_jobs"]
        jobs = _unfinished_jobs(client, [*running, *found["queued_jobs"][:limit]])
    if jobs:
        names = cells.job_ids(job["job_id"] for job in jobs)
        print_table(COLUMNS, [_row(job, names[job["job_id"]]) for job in jobs])
    print_hint(
        lambda: (
            f"{len(running)} running, {found['queue_size']} queued;"
            f" {found['completed_jobs']} completed, {found['failed_jobs']} failed"
            f"{_cancelled(found)}"
        )
    )
    if "draining" in found:
        print_to_stderr(_describe_draining(found["draining"]))


def _cancelled(queue: Mapping[str, Any]) -> str:
    # A server of lmms-eval does not count them.
    return f", {queue['cancelled_jobs']} cancelled" if "cancelled_jobs" in queue else ""


def _unfinished_jobs(client: "EvalClient", job_ids: list[str]) -> list[dict[str, Any]]:
    """Return the jobs in this order, without those that have finished meanwhile."""
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


def _describe_draining(draining: Mapping[str, Any]) -> str:
    reason = "" if draining["reason"] is None else f": {cells.text(draining['reason'])}"
    since, who = cells.local_time(draining["since"]), cells.text(draining["by"])
    return (
        f"Draining since {since}, by {who}{reason}. No job is started until the server is resumed."
    )


def _row(job: Mapping[str, Any], name: str) -> tuple[str, ...]:
    request = job["request"]
    position = job["position_in_queue"]
    return (
        "running" if position is None else str(position + 1),
        name,
        cells.model(request),
        cells.tasks(request["tasks"]),
        str(job["priority"]),
        cells.EMPTY if job["status"] == "queued" else cells.progress(job),
        cells.duration(job["eta_s"]),
    )
