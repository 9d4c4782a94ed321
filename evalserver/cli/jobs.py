"""``evalserver jobs`` and ``evalserver status``: listing jobs, and the details of one."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_models, complete_tasks
from evalserver.cli.connection import (
    Server,
    engine_option,
    job_argument,
    resolve_batch_id,
    resolve_job_id,
    with_server,
)
from evalserver.cli.screens import (
    Column,
    as_json,
    print_hint,
    print_json,
    print_record,
    print_table,
)
from evalserver.cli.values import labels_option, parse_with, time_or_age
from evalserver.core.model_title import model_title
from evalserver.core.request import KEEP, REJECT
from evalserver.core.series import SERIES, STEP

DEFAULT_LIMIT = 20

NO_JOBS = "There are no jobs yet; 'evalserver submit' queues one."

SORT_KEYS = (
    "created_at", "started_at", "completed_at", "duration", "priority", "status", "model",
    "step",
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
    help="Only jobs with this status: queued, running, completed, failed, cancelled; or several,"
    " separated by commas.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="Only jobs of this model: a type, or a checkpoint as the table shows it.",
    shell_complete=complete_models,
)
@click.option("--task", help="Only jobs with this task.", shell_complete=complete_tasks)
@engine_option
@labels_option("Only jobs with this label.")
@click.option("--series", metavar="NAME", help="Only jobs of this training run.")
@click.option("--step", type=int, help="Only jobs with a checkpoint of this step.")
@click.option(
    "--batch",
    "batch_id",
    metavar="ID",
    help="Only jobs of this batch: its id, or the beginning or end of it.",
)
@click.option(
    "--result-check",
    type=click.Choice(["ok", "warnings", "failed"]),
    help="Only jobs whose results were checked with this outcome.",
)
@click.option("--failure", metavar="CODE", help="Only failed jobs with this code.")
@click.option("--submitted-by", metavar="NAME", help="Only jobs of this submitter.")
@click.option(
    "--since",
    metavar="TIME",
    callback=parse_with(time_or_age),
    help="Only jobs submitted since: ISO 8601, or an age like 30m, 2h, 3d.",
)
@click.option(
    "--before",
    metavar="TIME",
    callback=parse_with(time_or_age),
    help="Only jobs submitted before; same format.",
)
@click.option(
    "--search",
    metavar="TEXT",
    help="Only jobs with this in id, model, task, model_args or harness_args.",
)
@click.option(
    "--sort",
    metavar="KEY",
    type=click.Choice([f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-")]),
    help="created_at, started_at, completed_at, duration, priority, status, model or step;"
    " -KEY for descending order. [default: -created_at]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Maximum number of jobs.",
)
@click.option("--all", "everything", is_flag=True, help="Show all jobs.")
@click.option("--quiet", "-q", "only_ids", is_flag=True, help="Print the ids only, one per line.")
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
    only_ids: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """List jobs, by default the newest first."""
    is_filtered = any([status, labels, since, before, *filters.values(), filters["step"] == 0])
    with server.client() as client:
        if filters["batch_id"] is not None:
            filters["batch_id"] = resolve_batch_id(client, filters["batch_id"])
        found = client.jobs(
            status=",".join(status) or None,
            labels=labels,
            created_after=since,
            created_before=before,
            **filters,
        )
        shown = list(found if everything else islice(found, limit))
        more = not everything and next(found, None) is not None
    if as_json:
        print_json(shown)
    elif only_ids:
        click.echo("".join(f"{job['job_id']}\n" for job in shown), nl=False)
    elif shown:
        names = cells.job_ids(job["job_id"] for job in shown)
        print_table(COLUMNS, [_row(job, names[job["job_id"]]) for job in shown])
    else:
        print_hint(lambda: "No jobs match." if is_filtered else NO_JOBS)
    if more:
        print_hint(lambda: f"There are more than {limit}; show them with --limit N or --all.")


@click.command()
@job_argument
@as_json
@with_server
def status(server: Server, job: str, as_json: bool) -> None:
    """Show the details of a job."""
    with server.client() as client:
        found = client.get_job(resolve_job_id(client, job))
    if as_json:
        print_json(found)
    else:
        print_record(_record(found))


def _row(job: Mapping[str, Any], name: str) -> tuple[str, ...]:
    request = job["request"]
    return (
        name,
        cells.status(job),
        cells.model(request),
        cells.tasks(request["tasks"]),
        cells.progress(job),
        cells.local_time(job["created_at"]),
        cells.pairs(_labels(job)) or cells.EMPTY,
    )


def _labels(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the series and the step of a job, as far as no label says them, and its labels."""
    named = {name: job.get(name) for name in (SERIES, STEP)}
    return {**{name: value for name, value in named.items() if value is not None}, **job["labels"]}


def _record(job: Mapping[str, Any]) -> dict[str, str]:
    request, title = job["request"], model_title(job["request"])
    attempts = f"{job['attempt']} of {job['max_attempts']}" if job["attempt"] else None
    values = {
        "job": job["job_id"],
        "status": cells.status(job),
        "waiting for": job["waiting_for"],
        "progress": cells.progress(job) if job["status"] in ("queued", "running") else None,
        "stalled since": _optional_time(job.get("stalled_since")),
        "ends in": None if job["eta_s"] is None else cells.duration(job["eta_s"]),
        "model": title if title != request["model"] else None,
        "model type": request["model"],
        "tasks": list(request["tasks"]),
        **{name.replace("_", " "): request[name] for name in _other_fields(request)},
        "engine": job["engine"],
        "labels": job["labels"] or None,
        "batch": job.get("batch_id"),
        "priority": job["priority"] or None,
        "submitted": f"{cells.local_time(job['created_at'])} by {job['submitted_by']}",
        "started": _optional_time(job["started_at"]),
        "gpus": ", ".join(job.get("gpus") or ()) or None,
        "ended": _optional_time(job["completed_at"]),
        "took": cells.run_time(job) if job["completed_at"] and job["started_at"] else None,
        "attempt": attempts,
        "start": _start(job["provenance"] or {}),
        "exit code": job["exit_code"],
        "output": job["output_dir"],
    }
    shown = {name: cells.text(value) for name, value in values.items() if value is not None}
    found = cells.findings(job)
    shown |= {"findings": "\n".join(found)} if found else {}
    return shown | describe_failure(job)


def _start(provenance: Mapping[str, Any]) -> str | None:
    """Return how the job was started, if that is known: warm, or cold with the reason."""
    words = (provenance.get("start"), provenance.get("start_reason"))
    return ": ".join(str(word) for word in words if word) or None


def describe_failure(job: Mapping[str, Any]) -> dict[str, str]:
    """Return why a job failed, the advice first and the end of its log last."""
    failure = job.get("failure")
    shown = {"failure": cells.text(failure["code"]), "advice": cells.advice(job)} if failure else {}
    return shown | ({"error": "\n".join(cells.error_lines(job))} if job["error"] else {})


def _other_fields(request: Mapping[str, Any]) -> list[str]:
    """Return the fields of a request that are not shown elsewhere and have no default value."""
    defaults: dict[str, Any] = {"log_samples": True, "predict_only": False, "num_gpus": 1}
    defaults |= {"on_newer": KEEP, "on_full": REJECT}
    elsewhere = {"model", "tasks", "engine", "labels", "priority", "max_attempts", "output_dir"}
    return [
        name
        for name, value in request.items()
        if name not in elsewhere and value not in (None, {}) and value != defaults.get(name)
    ]


def _optional_time(value: str | None) -> str | None:
    return None if value is None else cells.local_time(value)
