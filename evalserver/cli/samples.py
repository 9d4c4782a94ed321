"""``evalserver samples``: what the model answered to single documents of a task."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_tasks
from evalserver.cli.connection import Server, job_argument, job_id_of, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure
from evalserver.cli.screens import Column, on_terminal, print_json_line, print_table

if TYPE_CHECKING:
    from evalserver.client import EvalClient

LONGEST_ANSWER = 60
"""Characters of an answer in a table; --json has all of it."""

COLUMNS = (
    Column("DOC"),
    Column("RIGHT"),
    Column("ANSWER"),
    Column("TARGET", optional=True),
    Column("FILTER", optional=True),
)

MARKS = {True: "yes", False: "no", None: cells.NOTHING}


@click.command()
@job_argument
@click.argument("task", required=False, shell_complete=complete_tasks)
@click.option("--only", type=click.Choice(["right", "wrong"]), help="Only those answered so.")
@click.option("--metric", help="What says which are right, where several could.")
@click.option("--filter", help="Under which filter, where there are several.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Samples to show."
)
@click.option("--all", "everything", is_flag=True, help="Show all of them.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each, whole.")
@with_server
def samples(
    server: Server,
    job: str,
    task: str | None,
    only: Literal["right", "wrong"] | None,
    metric: str | None,
    filter: str | None,
    limit: int,
    everything: bool,
    as_json: bool,
) -> None:
    """Show what the model answered to single documents of TASK.

    TASK may be left out where the job has only one.
    """
    with server.client() as client:
        job_id = job_id_of(client, job)
        found = client.samples(
            job_id, task or _only_task(client, job_id), only, metric=metric, filter=filter
        )
        shown = found if everything else islice(found, limit)
        if as_json:
            for sample in shown:
                print_json_line(sample)
        else:
            _print(list(shown))
        more = not everything and next(found, None) is not None
    if more:
        on_terminal(lambda: f"There are more than these {limit}: --limit N, or --all.")


def _print(found: list[Mapping[str, Any]]) -> None:
    if found:
        print_table(COLUMNS, [_row(sample) for sample in found])
    else:
        on_terminal(lambda: "There are no such samples.")


def _only_task(client: "EvalClient", job_id: str) -> str:
    tasks = sorted({str(row["task"]) for row in client.results(job_id)})
    if len(tasks) == 1:
        return tasks[0]
    named = ", ".join(map(cells.text, tasks)) or "none that has numbers"
    raise Failure(f"name the TASK; those of the job are: {named}", ExitCode.USAGE)


def _row(found: Mapping[str, Any]) -> tuple[str, ...]:
    sample = found["sample"]
    answer = sample.get("filtered_resps", sample.get("resps"))
    return (
        cells.text(found["doc_id"]),
        MARKS[found["right"]],
        _short(answer),
        _short(sample.get("target")),
        cells.text(sample.get("filter") or cells.NOTHING),
    )


def _short(value: Any) -> str:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    said = cells.NOTHING if value is None else cells.text(value)
    return said if len(said) <= LONGEST_ANSWER else f"{said[: LONGEST_ANSWER - 1]}…"
