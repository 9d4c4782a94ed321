"""``evalserver compare --samples``: the answers of two jobs side by side, flips first."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evalserver.cli import cells
from evalserver.cli.screens import Column, print_hint, print_json_line, print_table, wrap

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_ANSWER_LENGTH = 40
"""In characters, in a table; --json has the full answer."""
DEFAULT_LIMIT = 20
STATES = click.Choice(["right", "wrong", "missing"])

COLUMNS = (
    Column("DOC"),
    Column("CHANGE"),
    Column("BASELINE"),
    Column("JOB"),
    Column("TARGET", optional=True),
)

OPTIONS = (
    click.option(
        "--samples",
        "task",
        metavar="TASK",
        help="The answers of two jobs to the documents of this task, side by side, flips first.",
    ),
    click.option(
        "--baseline-is", type=STATES, help="With --samples: only what the first job has so."
    ),
    click.option("--job-is", type=STATES, help="With --samples: only what the second job has so."),
    click.option("--metric", help="With --samples: the metric that decides what is right."),
    click.option("--filter", help="With --samples: the filter of the harness."),
    click.option(
        "--job-task", metavar="TASK", help="With --samples: the second job's name of the task."
    ),
    click.option("--job-metric", metavar="NAME", help="With --samples: the second job's metric."),
    click.option("--job-filter", metavar="NAME", help="With --samples: the second job's filter."),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        help=f"With --samples: maximum number of documents.  [default: {DEFAULT_LIMIT}]",
    ),
    click.option("--all", "everything", is_flag=True, help="With --samples: all documents."),
)
"""The options of ``evalserver compare`` for samples, in the order of its help."""


def sample_options(command: Command) -> Command:
    """Add the options for samples to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def require_samples(options: Mapping[str, Any]) -> None:
    """Raise UsageError if an option for samples is given without ``--samples``."""
    given = [name for name, value in options.items() if value and name != "task"]
    if options["task"] is None and given:
        flag = "--all" if given[0] == "everything" else f"--{given[0].replace('_', '-')}"
        raise click.UsageError(f"{flag} needs --samples TASK")


def print_sample_differences(
    client: "EvalClient", job_ids: list[str], options: Mapping[str, Any], *, as_json: bool
) -> None:
    """Print the documents of a task with the answers of two jobs."""
    if len(job_ids) != 2:
        raise click.UsageError("--samples compares two jobs: the baseline, and another")
    query = dict(options)
    limit, everything = query.pop("limit") or DEFAULT_LIMIT, query.pop("everything")
    first: list[Mapping[str, Any]] = []
    found = client.compare_samples(*job_ids, **query, on_page=first.append)
    shown = found if everything else islice(found, limit)
    if as_json:
        for document in shown:
            print_json_line(document)
    else:
        documents = list(shown)
        _print_counts(first[0])
        if documents:
            print_table(COLUMNS, [_row(document) for document in documents])
        else:
            print_hint(lambda: "No documents match.")
    if not everything and next(found, None) is not None:
        print_hint(lambda: f"There are more than {limit}; show them with --limit N or --all.")


def _print_counts(page: Mapping[str, Any]) -> None:
    """Print how many documents changed in each way, and the warnings."""
    counts = [f"{count} {_words(change)}" for change, count in page["counts"].items() if count]
    names = [cells.job_id(job["job_id"]) for job in page["jobs"]]
    judges = dict.fromkeys(_judge(job) for job in page["jobs"])
    click.echo(
        wrap(
            f"{names[1]} against {names[0]}, judged by {' and '.join(judges)}:"
            f" {', '.join(counts) or 'no documents'}."
        )
    )
    for warning in page["warnings"]:
        click.echo(wrap(f"Warning: {cells.text(warning)}."))


def _judge(job: Mapping[str, Any]) -> str:
    kind = job["filter"]
    name = cells.text(job["metric"] or "nothing")
    return name if kind in (None, "", "none") else f"{name} ({cells.text(kind)})"


def _words(change: str) -> str:
    return cells.text(change).replace("_", " ")


def _row(document: Mapping[str, Any]) -> tuple[str, ...]:
    baseline, job = document["baseline"], document["job"]
    ids = dict.fromkeys(cells.text(each["doc_id"]) for each in (baseline, job) if each)
    return (
        " / ".join(ids),
        _words(document["change"]),
        _answer(baseline),
        _answer(job),
        _shorten(((baseline or job)["sample"] or {}).get("target")),
    )


def _answer(sample: Mapping[str, Any] | None) -> str:
    if sample is None:
        return cells.EMPTY
    values = sample["sample"] or {}
    return _shorten(values.get("filtered_resps", values.get("resps")))


def _shorten(value: Any) -> str:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return cells.shorten(value, MAX_ANSWER_LENGTH)
