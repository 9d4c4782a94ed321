"""``evalserver compare``: whether the metrics of jobs differ by more than noise."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.compare_samples import (
    print_sample_differences,
    require_samples,
    sample_options,
)
from evalserver.cli.completing import complete_jobs
from evalserver.cli.connection import Server, resolve_batch_id, resolve_job_id, with_server
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table, wrap

COLUMNS = (
    Column("TASK"),
    Column("METRIC"),
    Column("FILTER", optional=True, distinguishes=True),
    Column("JOB"),
    Column("VALUE", right=True),
    Column("DIFFERENCE", right=True),
    Column("INTERVAL"),
    Column("VERDICT"),
    Column("FLIPS", optional=True),
    Column("P", optional=True),
    Column("N", right=True, optional=True),
    Column("METHOD", optional=True),
)

ONLY_HERE = "not in baseline"
"""The verdict of a metric that the baseline does not have."""


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=complete_jobs)
@click.option(
    "--batch",
    metavar="ID",
    help="The completed jobs of this batch, if they are 2 to 10; the first is the baseline.",
)
@sample_options
@as_json
@with_server
def compare(
    server: Server, jobs: tuple[str, ...], batch: str | None, as_json: bool, **of_samples: Any
) -> None:
    """Compare the metrics of completed jobs with those of the first job.

    If both jobs kept samples, document by document, which detects smaller differences. With
    --samples the documents themselves are listed, those whose answers flipped first.
    """
    require_samples(of_samples)
    if jobs and batch is not None:
        raise click.UsageError("Give JOB..., or else --batch.")
    if len(jobs) < 2 and batch is None:
        raise click.UsageError("give at least two jobs: the first is the baseline")
    with server.client() as client:
        job_ids = [resolve_job_id(client, job) for job in jobs]
        batch_id = None if batch is None else resolve_batch_id(client, batch)
        if of_samples["task"] is not None:
            print_sample_differences(client, job_ids, of_samples, as_json=as_json)
            return
        found = client.compare(*job_ids, batch_id=batch_id)
    if as_json:
        print_json(found)
        return
    values = [
        (row, value)
        for row in found["rows"]
        for value in row["values"]
        if value["value"] is not None
    ]
    places = cells.decimals(_shown_numbers(values))
    notes: dict[str, int] = {}
    baseline = found["jobs"][0]["job_id"]
    rows = [_line(row, value, baseline, places, notes) for row, value in values]
    if rows:
        print_table(COLUMNS, rows)
        _print_notes(notes)
        _print_regressions(found)
    else:
        print_hint(
            lambda: (
                "None of the jobs has metrics: they merged checkpoints, or ran with --predict-only."
            )
        )
    print_hint(lambda: wrap(_describe_methods(found)))


def _shown_numbers(values: Sequence[tuple[Any, Mapping[str, Any]]]) -> Iterator[float | None]:
    for _, value in values:
        yield value["value"]
        if value["difference"]:
            yield from (value["difference"][name] for name in ("value", "low", "high"))


def _line(
    row: Mapping[str, Any],
    value: Mapping[str, Any],
    baseline: str,
    places: int,
    notes: dict[str, int],
) -> tuple[str, ...]:
    """Format a metric of a job. Adds a note on its difference to ``notes``, with a number."""
    difference = value["difference"]
    if difference:
        shown = _describe_difference(difference, places, notes)
        n, method = _documents(difference["n"], value["n"]), difference["method"]
        flips, p_value = _describe_flips(difference), _describe_p_value(difference)
    else:
        verdict = "baseline" if value["job_id"] == baseline else ONLY_HERE
        shown = (cells.EMPTY, cells.EMPTY, verdict)
        n, method = cells.optional(value["n"]), cells.EMPTY
        flips = p_value = cells.EMPTY
    return (
        cells.text(row["task"]),
        cells.text(row["metric"]),
        cells.text(row["filter"]),
        cells.job_id(value["job_id"]),
        cells.number(value["value"], places),
        *shown,
        flips,
        p_value,
        n,
        method,
    )


def _documents(paired: int | None, all_of_job: int | None) -> str:
    """Format how many documents were compared, and of how many if not of all."""
    if paired is None or all_of_job is None or paired == all_of_job:
        return cells.optional(all_of_job if paired is None else paired)
    return f"{paired} of {all_of_job}"


def _describe_difference(
    difference: Mapping[str, Any], places: int, notes: dict[str, int]
) -> tuple[str, str, str]:
    """Format the difference with the number of its note, its interval, and the verdict."""
    low, high = difference["low"], difference["high"]
    interval = (
        cells.EMPTY
        if low is None
        else f"{cells.signed(low, places)} to {cells.signed(high, places)}"
    )
    note = difference["note"]
    number = "" if note is None else f" [{notes.setdefault(note, len(notes) + 1)}]"
    return cells.signed(difference["value"], places), interval, _verdict(difference) + number


def _describe_flips(difference: Mapping[str, Any]) -> str:
    """Format how many documents went from right to wrong, and from wrong to right."""
    if difference["right_to_wrong"] is None:
        return cells.EMPTY
    return f"-{difference['right_to_wrong']} +{difference['wrong_to_right']}"


def _describe_p_value(difference: Mapping[str, Any]) -> str:
    p_value = difference["p_value"]
    return (
        cells.EMPTY
        if p_value is None
        else cells.p_value(p_value).removeprefix("p ").removeprefix("= ")
    )


def _verdict(difference: Mapping[str, Any]) -> str:
    if difference["exceeds_noise"] is None:
        return "uncertain"
    if not difference["exceeds_noise"]:
        return "within noise"
    return {True: "better", False: "worse", None: "different"}[difference["improved"]]


def _print_notes(notes: Mapping[str, int]) -> None:
    for note, number in notes.items():
        click.echo(wrap(f"[{number}] {cells.text(note)}"))


def _print_regressions(found: Mapping[str, Any]) -> None:
    """Print which metrics of each job regressed, with the documents that changed."""
    for job in found["regressions"]:
        regressed, tested = len(job["regressed"]), job["tested"]
        metrics = "metric" if tested == 1 else "metrics"
        end = ":" if regressed else "."
        name = cells.job_id(job["job_id"])
        click.echo(wrap(f"{name}: {regressed} of {tested} {metrics} regressed{end}"))
        for line in _regressed_lines(found["rows"], job["job_id"]):
            click.echo(wrap(f"  {line}"))


def _regressed_lines(rows: Sequence[Mapping[str, Any]], job_id: str) -> Iterator[str]:
    for row in rows:
        for value in row["values"]:
            difference = value["difference"]
            if value["job_id"] == job_id and difference and difference["regressed"]:
                names = [row["task"], row["metric"]]
                names += [] if row["filter"] == "none" else [row["filter"]]
                yield f"{cells.text(' '.join(names))}: {', '.join(_describe_change(difference))}"


def _describe_change(difference: Mapping[str, Any]) -> Iterator[str]:
    if difference["right_to_wrong"] is not None:
        yield f"{difference['right_to_wrong']} right to wrong"
        yield f"{difference['wrong_to_right']} wrong to right"
    yield cells.p_value(difference["p_value"])
    yield f"corrected {cells.p_value(difference['p_adjusted'])}"


def _describe_methods(found: Mapping[str, Any]) -> str:
    used = {
        value["difference"]["method"]
        for row in found["rows"]
        for value in row["values"]
        if value["difference"]
    }
    lines = [
        f"{name}: {cells.text(about['formula'])} ({cells.text(about['source'])})"
        for name, about in found["methods"].items()
        if name in used
    ]
    return "\n".join(
        [
            f"The intervals have a confidence of {found['confidence']:.0%}.",
            *lines,
            "FLIPS and P, where the terminal is wide enough: documents from right to wrong (-) and"
            " from wrong to right (+), and how probable such a difference is without a real one.",
            "A metric regressed if it became worse with a p-value of at most"
            f" {found['significance_level']} after Holm's correction for the number of metrics."
            " Others may be worse, too: see their intervals.",
        ]
    )
