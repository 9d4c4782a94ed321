"""``evalserver leaderboard``: models or series by tasks."""

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, with_server
from evalserver.cli.screens import (
    Column,
    as_json,
    print_hint,
    print_json,
    print_table,
    visible_columns,
    wrap,
)
from evalserver.cli.values import labels_option

MAX_NAME_LENGTH = 36

CSV_COLUMNS = (
    "rank", "name", "arguments", "task", "metric", "filter", "engine", "limit", "num_fewshot",
    "task_version", "value", "stderr", "n", "best", "differs", "job_id", "step",
)  # fmt: skip


@click.command()
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
@click.option(
    "--by",
    type=click.Choice(["model", "series"]),
    default="model",
    show_default=True,
    help="What a row is.",
)
@click.option(
    "--pick",
    type=click.Choice(["latest", "best"]),
    help="Which job of a row counts in a column.  [default: latest]",
)
@click.option("--step", type=click.IntRange(min=0), help="Only the job of this step counts.")
@click.option("--metric", help="A metric, or a pattern such as '*'.")
@click.option("--filter", help="A filter of the harness, or a pattern.")
@click.option("--series", multiple=True, help="Only jobs of this series; may be repeated.")
@labels_option("Only jobs with this label.")
@click.option("--engine", help="Only jobs of this engine.")
@click.option("--limit", metavar="N|all", help="Only jobs with this limit of documents.")
@click.option("--unpaired", is_flag=True, help="Read no samples: test by standard errors.")
@click.option(
    "--top", type=click.IntRange(1, 200), default=50, show_default=True, help="Maximum of rows."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each number.")
@as_json
@with_server
def leaderboard(
    server: Server,
    tasks: tuple[str, ...],
    by: Literal["model", "series"],
    pick: Literal["latest", "best"] | None,
    step: int | None,
    labels: dict[str, str],
    limit: str | None,
    unpaired: bool,
    as_csv: bool,
    as_json: bool,
    **query: Any,
) -> None:
    """Show which models are best at each TASK, and which do not differ from these.

    TASK may be a pattern, such as 'mmlu_*'; without one, all tasks are shown.
    """
    if pick is not None and step is not None:
        raise click.UsageError("--pick and --step exclude each other; give one of them")
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other; give one of them")
    with server.client() as client:
        board = client.leaderboard(
            tasks=tasks,
            by=by,
            pick="step" if step is not None else pick or "latest",
            step=step,
            labels=labels,
            limit=limit,  # type: ignore[arg-type]
            paired=not unpaired,
            **query,
        )
    if as_json:
        print_json(board)
    elif as_csv:
        _print_csv(board)
    elif board["entries"]:
        _print_board(board)
    else:
        print_hint(lambda: "No completed job has numbers that match.")


def _print_board(board: Mapping[str, Any]) -> None:
    columns = board["columns"]
    titles = [f"[{at}]" for at in range(1, len(columns) + 1)] if len(columns) > 1 else ["VALUE"]
    head = (
        Column("SERIES" if board["by"] == "series" else "MODEL"),
        *(Column(title, right=True, optional=len(titles) > 1) for title in titles),
        *((Column("MEAN", right=True),) if board["mean_of"] else ()),
    )
    shown = [_column_cells(board, at) for at in range(len(columns))]
    rows = []
    for at, entry in enumerate(board["entries"]):
        mean = (_mean(entry["mean"]),) if board["mean_of"] else ()
        rows.append((_name(entry), *(column[at] for column in shown), *mean))
    print_table(head, rows)
    visible = visible_columns(head, rows)
    for at, (title, column) in enumerate(zip(titles, columns, strict=True), 1):
        if at in visible:
            click.echo(wrap(f"{title}: {_describe(column)}"))
    if omitted := len(head) - len(visible):
        print_hint(
            lambda: (
                f"{omitted} more columns do not fit into this terminal; name TASKs, or see all with"
                " --csv."
            )
        )
    if board["mean_of"]:
        click.echo(wrap(f"MEAN: unweighted, over {cells.text(board['mean_of'])}"))
    tests = board["tests"]
    click.echo(
        wrap(
            "* best. = not shown to differ from the best: p above"
            f" {tests['significance_level']} after Holm's correction; {tests['paired']} tests"
            f" document by document, {tests['unpaired']} by standard errors."
        )
    )
    for warning in board["warnings"]:
        click.echo(wrap(f"Warning: {cells.text(warning)}."))
    left_out = board["entries_left_out"]
    if left_out:
        print_hint(lambda: f"{left_out} more rows are left out; show them with --top N.")


def _column_cells(board: Mapping[str, Any], at: int) -> list[str]:
    found = [entry["cells"][at] for entry in board["entries"]]
    values = cells.numbers([cell and cell["value"] for cell in found])
    return [f"{value}{_mark(cell)}" for cell, value in zip(found, values, strict=True)]


def _mark(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    return " *" if cell["best"] else " =" if cell["differs"] is False else "  "


def _mean(mean: Mapping[str, Any] | None) -> str:
    if mean is None:
        return cells.EMPTY
    missing = f" ({len(mean['missing'])} missing)" if mean["missing"] else ""
    return f"{cells.number(mean['value'], cells.DECIMALS)}{missing}"


def _name(entry: Mapping[str, Any]) -> str:
    name = cells.shorten(entry["name"], MAX_NAME_LENGTH)
    return f"{name} {cells.pairs(entry['arguments'])}".rstrip()


def _describe(column: Mapping[str, Any]) -> str:
    """Say what a column is, and in which way its task was evaluated."""
    kind = "" if column["filter"] in ("", "none") else f" ({cells.text(column['filter'])})"
    words = [cells.text(column["engine"])]
    if column["limit"] is not None:
        words.append(f"limit {column['limit']:g}")
    if column["num_fewshot"] is not None:
        words.append(f"{column['num_fewshot']}-shot")
    if column["task_version"] is not None:
        words.append(f"version {cells.text(column['task_version'])}")
    if column["harness_args"]:
        words.append(cells.pairs(column["harness_args"]))
    lower = ", lower is better" if column["higher_is_better"] is False else ""
    name = f"{cells.text(column['task'])} {cells.text(column['metric'])}{kind}{lower}"
    return f"{name} ({', '.join(words)})"


def _print_csv(board: Mapping[str, Any]) -> None:
    writer = csv.DictWriter(sys.stdout, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in _csv_rows(board):
        writer.writerow(row)


def _csv_rows(board: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [
        {
            **column, **cell, "rank": rank, "name": entry["name"],
            "arguments": cells.pairs(entry["arguments"]),
        }
        for rank, entry in enumerate(board["entries"], 1)
        for column, cell in zip(board["columns"], entry["cells"], strict=True)
        if cell is not None
    ]  # fmt: skip
