"""``evalserver gate``: whether a job is good enough beside a baseline."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_jobs
from evalserver.cli.connection import Server, resolve_job_id, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table, wrap

if TYPE_CHECKING:
    from evalserver.client import EvalClient

COLUMNS = (
    Column("TASK"),
    Column("METRIC"),
    Column("FILTER", optional=True, distinguishes=True),
    Column("TIER", optional=True, distinguishes=True),
    Column("VERDICT"),
    Column("DAMAGE", right=True),
    Column("INTERVAL"),
    Column("MARGIN", right=True),
    Column("FLIPS", optional=True),
    Column("N", right=True, optional=True),
)

LIST_COLUMNS = (
    Column("VERDICT", right=True),
    Column("JOB"),
    Column("SERIES", optional=True),
    Column("STEP", right=True, optional=True),
    Column("BASELINE"),
    Column("POLICY"),
    Column("SAYS"),
    Column("BY", optional=True),
    Column("AT", optional=True),
)

CODES = {"go": ExitCode.DONE, "no_go": ExitCode.NO_GO, "inconclusive": ExitCode.INCONCLUSIVE}

STEPS = ("previous", "best")
"""What may stand for a baseline in place of a job."""

ASKED = ("baseline", "policy", "max_drop", "max_relative_drop", "confidence", "tasks")


@click.command()
@click.argument("job", metavar="[JOB]", required=False, shell_complete=complete_jobs)
@click.option(
    "--baseline",
    metavar="JOB",
    shell_complete=complete_jobs,
    help="The job that it is judged beside; previous or best: an earlier step of its series.",
)
@click.option("--policy", metavar="NAME", help="A policy of the server's settings.")
@click.option(
    "--max-drop", type=float, metavar="D", help="By how much a metric may be worse, in its unit."
)
@click.option(
    "--max-relative-drop",
    type=float,
    metavar="R",
    help="The same as a share of the baseline's value.",
)
@click.option("--confidence", type=float, metavar="C", help="Of the intervals; 0.95 by default.")
@click.option(
    "--task",
    "tasks",
    metavar="PATTERN",
    multiple=True,
    help="Only tasks like this; repeatable.",
)
@click.option("--keep", is_flag=True, help="Have the server keep the verdict, and audit it.")
@click.option("--list", "lists", is_flag=True, help="List the verdicts that were kept.")
@click.option("--series", metavar="NAME", help="With --list: only those on jobs of this series.")
@click.option(
    "--verdict", "verdict_id", type=int, metavar="N", help="Show a verdict that was kept."
)
@as_json
@with_server
def gate(
    server: Server,
    job: str | None,
    keep: bool,
    lists: bool,
    series: str | None,
    verdict_id: int | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Judge whether a job is good enough beside a baseline.

    Exit code 0: go; 5: no_go; 6: inconclusive.
    """
    given = {name: value for name, value in asked.items() if value not in (None, ())}
    _check_usage(job, given, lists=lists, series=series, verdict_id=verdict_id, keep=keep)
    with server.client() as client:
        if lists:
            _list(client, job, series, as_json=as_json)
            return
        if verdict_id is not None:
            found = client.gate_verdict(verdict_id)
        else:
            found = _judge(client, str(job), given, keep=keep)
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise click.exceptions.Exit(CODES[found["verdict"]])


def _check_usage(
    job: str | None,
    given: Mapping[str, Any],
    *,
    lists: bool,
    series: str | None,
    verdict_id: int | None,
    keep: bool,
) -> None:
    if lists and verdict_id is not None:
        raise click.UsageError("--list and --verdict exclude each other; give one of them")
    if lists or verdict_id is not None:
        if given or keep or (verdict_id is not None and job is not None):
            what = "--list" if lists else "--verdict"
            raise click.UsageError(f"{what} judges nothing: give no options for a verdict with it")
    elif job is None or "baseline" not in given:
        raise click.UsageError("Give JOB and --baseline, or else --list or --verdict.")
    elif not {"policy", "max_drop", "max_relative_drop"} & given.keys():
        raise click.UsageError("Give --policy, --max-drop or --max-relative-drop.")
    if series is not None and not lists:
        raise click.UsageError("--series is for --list.")


def _judge(client: "EvalClient", job: str, given: Mapping[str, Any], *, keep: bool) -> Any:
    values = dict(given)
    baseline = str(values.pop("baseline"))
    if baseline not in STEPS:
        baseline = resolve_job_id(client, baseline)
    return client.gate(resolve_job_id(client, job), baseline, **values, keep=keep)


def _list(client: "EvalClient", job: str | None, series: str | None, *, as_json: bool) -> None:
    job_id = None if job is None else resolve_job_id(client, job)
    rows = list(client.gate_verdicts(job_id=job_id, series=series))
    if as_json:
        print_json(rows)
    elif rows:
        print_table(LIST_COLUMNS, [_listed(row) for row in rows])
    else:
        print_hint(lambda: "No verdict was kept: see --keep, and docs/gates.md on series.")


def _listed(row: Mapping[str, Any]) -> tuple[str, ...]:
    baseline = row["baseline_id"]
    return (
        str(row["verdict_id"]),
        cells.job_id(row["job_id"]),
        cells.optional(row["series"]),
        cells.optional(row["step"]),
        cells.EMPTY if baseline is None else cells.job_id(baseline),
        cells.optional(row["policy"]),
        cells.text(row["verdict"]),
        cells.text(row["actor"]),
        cells.local_time(row["at"]),
    )


def _print(found: Mapping[str, Any]) -> None:
    rows: Sequence[Mapping[str, Any]] = found["judgements"]
    if rows:
        print_table(COLUMNS, [_line(row) for row in rows])
    for row in rows:
        if row["verdict"] != "pass":
            names = [row["task"], row["metric"]]
            if row["filter"] not in (None, "none"):
                names.append(row["filter"])
            name = cells.text(" ".join(each for each in names if each))
            click.echo(wrap(f"{name}: {cells.text(row['reason'])}."))
    if found["not_judged"]:
        tasks = cells.text(", ".join(found["not_judged"]))
        print_hint(lambda: wrap(f"The policy has no rule for: {tasks}."))
    click.echo(wrap(f"{found['verdict']}: {cells.text(found['reason'])}"))


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    damage = row["damage"] or {}
    low, high = damage.get("low"), damage.get("high")
    known = [damage.get("value"), low, high, row["margin"]]
    places = cells.decimals(known)
    interval = cells.EMPTY
    if low is not None and high is not None:
        interval = f"{cells.signed(low, places)} to {cells.signed(high, places)}"
    flips = cells.EMPTY if damage.get("n") is None else f"-{damage['worse']} +{damage['better']}"
    return (
        cells.text(row["task"]),
        cells.optional(row["metric"]),
        cells.optional(row["filter"]),
        cells.text(row["tier"]),
        cells.text(row["verdict"]),
        cells.EMPTY if not damage else cells.signed(damage["value"], places),
        interval,
        cells.number(row["margin"], places),
        flips,
        cells.optional(damage.get("n")),
    )
