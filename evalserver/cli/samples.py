"""``evalserver samples``: the answers of the model to the documents of a task."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_tasks
from evalserver.cli.connection import Server, job_argument, resolve_job_id, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure
from evalserver.cli.screens import Column, print_hint, print_json_line, print_table

if TYPE_CHECKING:
    from evalserver.client import EvalClient

MAX_ANSWER_LENGTH = 60
"""In characters, in a table; --json has the full answer."""

COLUMNS = (
    Column("DOC"),
    Column("RIGHT"),
    Column("ANSWER"),
    Column("TARGET", optional=True),
    Column("FILTER", optional=True, distinguishes=True),
)

RIGHT_TEXTS = {True: "yes", False: "no", None: cells.EMPTY}


@click.command()
@job_argument
@click.argument("task", required=False, shell_complete=complete_tasks)
@click.option(
    "--only", type=click.Choice(["right", "wrong"]), help="Only right or only wrong answers."
)
@click.option("--metric", help="The metric that decides which answers are right.")
@click.option("--filter", help="Only samples of this filter.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Maximum number of samples.",
)
@click.option("--all", "everything", is_flag=True, help="Show all samples.")
@click.option("--json", "as_json", is_flag=True, help="Print each sample as a line of JSON.")
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
    """Show the answers of the model to the documents of TASK.

    TASK can be omitted if the job has only one.
    """
    with server.client() as client:
        job_id = resolve_job_id(client, job)
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
        print_hint(lambda: f"There are more than {limit}; show them with --limit N or --all.")


def _print(found: list[Mapping[str, Any]]) -> None:
    if found:
        print_table(COLUMNS, [_row(sample) for sample in found])
    else:
        print_hint(lambda: "No samples match.")


def _only_task(client: "EvalClient", job_id: str) -> str:
    tasks = sorted({str(row["task"]) for row in client.results(job_id)})
    if len(tasks) == 1:
        return tasks[0]
    named = ", ".join(map(cells.text, tasks)) or "none with metrics"
    raise Failure(f"give a TASK; the tasks of the job are: {named}", ExitCode.USAGE)


def _row(found: Mapping[str, Any]) -> tuple[str, ...]:
    sample = found["sample"]
    answer = sample.get("filtered_resps", sample.get("resps"))
    return (
        cells.text(found["doc_id"]),
        RIGHT_TEXTS[found["right"]],
        _shorten(answer),
        _shorten(sample.get("target")),
        cells.text(sample.get("filter") or cells.EMPTY),
    )


def _shorten(value: Any) -> str:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return cells.shorten(value, MAX_ANSWER_LENGTH)
