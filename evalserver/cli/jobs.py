"""``evalserver jobs`` and ``evalserver status``: which jobs there are, and all about one."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_models, complete_tasks
from evalserver.cli.connection import Server, engine_option, job_argument, job_id_of, with_server
from evalserver.cli.screens import (
    Column,
    as_json,
    on_terminal,
    print_json,
    print_record,
    print_table,
)
from evalserver.cli.values import duration, labels_option

USUAL = 20

SORTED_BY = (
    "created_at", "started_at", "completed_at", "duration", "priority", "status", "model",
)  # fmt: skip

COLUMNS = (
    Column("JOB"),
    Column("STATUS"),
    Column("MODEL", optional=True),
    Column("TASKS", optional=True),
    Column("PROGRESS", optional=True),
    Column("SUBMITTED", optional=True),
    Column("LABELS", optional=True),
)


@click.command()
@click.option(
    *("--status", "-s"),
    multiple=True,
    help="Only jobs that are: queued, running, completed, failed, cancelled; several with commas.",
)
@click.option("--model", help="Only of this model.", shell_complete=complete_models)
@click.option("--task", help="Only with this task.", shell_complete=complete_tasks)
@engine_option
@labels_option("Only with this label.")
@click.option("--submitted-by", metavar="WHO", help="Only from this submitter.")
@click.option(
    "--since", metavar="TIME", help="Only submitted since: ISO 8601, or an age like 30m, 2h, 3d."
)
@click.option("--before", metavar="TIME", help="Only submitted before, likewise.")
@click.option("--search", metavar="TEXT", help="Only with this in id, model, task or model_args.")
@click.option(
    "--sort",
    metavar="KEY",
    type=click.Choice([f"{sign}{key}" for key in SORTED_BY for sign in ("", "-")]),
    help="By created_at, started_at, completed_at, duration, priority, status or model; -KEY turns"
    " it round. [default: -created_at]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=USUAL,
    show_default=True,
    help="Jobs to show.",
)
@click.option("--all", "everything", is_flag=True, help="Show all of them.")
@as_json
@with_server
def jobs(
    server: Server,
    status: tuple[str, ...],
    labels: dict[str, str],
    since: str | None,
    before: str | None,
    limit: int,
    everything: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """List jobs, the newest first unless --sort says otherwise."""
    with server.client() as client:
        found = client.jobs(
            status=",".join(status) or None,
            labels=labels,
            created_after=_moment(since),
            created_before=_moment(before),
            **wanted,
        )
        shown = list(found if everything else islice(found, limit))
        more = not everything and next(found, None) is not None
    if as_json:
        print_json(shown)
    elif shown:
        print_table(COLUMNS, [_row(job) for job in shown])
    else:
        on_terminal(lambda: "There are no such jobs.")
    if more:
        on_terminal(lambda: f"There are more than these {limit}: --limit N, or --all.")


@click.command()
@job_argument
@as_json
@with_server
def status(server: Server, job: str, as_json: bool) -> None:
    """Show all about a job."""
    with server.client() as client:
        found = client.get_job(job_id_of(client, job))
    if as_json:
        print_json(found)
    else:
        print_record(_record(found))


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    request = job["request"]
    return (
        cells.text(job["job_id"]),
        cells.text(job["status"]),
        cells.text(request["model"]),
        cells.text(",".join(request["tasks"])),
        cells.progress(job),
        cells.moment(job["created_at"]),
        cells.pairs(job["labels"]) or cells.NOTHING,
    )


def _record(job: Mapping[str, Any]) -> dict[str, str]:
    request = job["request"]
    attempts = f"{job['attempt']} of {job['max_attempts']}" if job["attempt"] else None
    values = {
        "job": job["job_id"],
        "status": job["status"],
        "waiting for": job["waiting_for"],
        "progress": cells.progress(job) if job["status"] in ("queued", "running") else None,
        "ends in": None if job["eta_s"] is None else cells.duration(job["eta_s"]),
        "model": request["model"],
        "tasks": list(request["tasks"]),
        **{name.replace("_", " "): request[name] for name in _told(request)},
        "engine": job["engine"],
        "labels": job["labels"] or None,
        "priority": job["priority"] or None,
        "submitted": f"{cells.moment(job['created_at'])} by {job['submitted_by']}",
        "started": _optional_moment(job["started_at"]),
        "ended": _optional_moment(job["completed_at"]),
        "took": cells.took(job) if job["completed_at"] and job["started_at"] else None,
        "attempt": attempts,
        "exit code": job["exit_code"],
        "output": job["output_dir"],
    }
    shown = {name: cells.text(value) for name, value in values.items() if value is not None}
    return shown | ({"error": cells.lines(job["error"])} if job["error"] else {})


def _told(request: Mapping[str, Any]) -> list[str]:
    """What of a request is not told elsewhere, and is not as usual."""
    usual = {"log_samples": True, "predict_only": False, "num_gpus": 1}
    elsewhere = {"model", "tasks", "engine", "labels", "priority", "max_attempts", "output_dir"}
    return [
        name
        for name, value in request.items()
        if name not in elsewhere and value not in (None, {}) and value != usual.get(name)
    ]


def _optional_moment(value: str | None) -> str | None:
    return None if value is None else cells.moment(value)


def _moment(given: str | None) -> str | datetime | None:
    """A time, or how long ago it was."""
    if given is None or given.isdigit():  # a year alone is a time, and not so many seconds
        return given
    try:
        return datetime.now(UTC) - duration(given)
    except (ValueError, OverflowError):
        return given
