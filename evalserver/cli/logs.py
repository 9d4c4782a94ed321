"""``evalserver logs``: the output of a job's harness."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from evalserver.cli.connection import Server, job_argument, resolve_job_id, with_server
from evalserver.cli.screens import is_terminal, print_hint, print_json_line

RESET_COLORS = "\x1b[0m"

CONTROL_SEQUENCES = re.compile(
    r"(?P<color>\x1b\[[0-9;]*m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"
    r"|[^\t\r\n\x20-\x7e\xa0-\U0010ffff]"
)
"""What a terminal executes instead of showing; of these, only colors are harmless."""


@click.command()
@job_argument
@click.option("--follow", "-f", is_flag=True, help="Follow the log until the job has ended.")
@click.option(
    "--tail", "-n", type=click.IntRange(min=1), metavar="LINES", help="Only the last lines."
)
@click.option("--attempt", type=click.IntRange(min=1), help="The log of this attempt.")
@click.option("--raw", is_flag=True, help="Unchanged, with colors and redrawn progress bars.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per line.")
@with_server
def logs(
    server: Server,
    job: str,
    follow: bool,
    tail: int | None,
    attempt: int | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Show the output of a job's harness.

    With colors and progress bars on a terminal, otherwise as plain text with the last state of
    each bar.
    """
    with server.client() as client:
        job_id = resolve_job_id(client, job)
        reason = _reason_for_no_output(client.get_job(job_id)) if attempt is None else None
        if reason is not None:
            print_hint(lambda: reason)
    show = _line_printer(raw=raw, as_json=as_json)
    plain = not raw and (as_json or not is_terminal(sys.stdout))
    with server.client(is_waiting=follow) as client:
        lines = client.logs(job_id, tail=tail, follow=follow, plain=plain, attempt=attempt)
        for line in lines:
            show(line)
    if is_terminal(sys.stdout):
        click.echo(RESET_COLORS, nl=False)


def _reason_for_no_output(job: Mapping[str, Any]) -> str | None:
    """Return why a job has no output; None if it may have some."""
    if job["status"] == "queued":
        return "The job is queued and has no output yet."
    if job["attempt"] == 0:
        return f"The job was {job['status']} before it started, and has no output."
    return None


def _line_printer(*, raw: bool, as_json: bool) -> Callable[[str], None]:
    """Return the function that prints a line."""
    if as_json:
        return lambda line: print_json_line({"line": line.rstrip("\r\n")})
    if raw or not is_terminal(sys.stdout):
        return lambda line: click.echo(line, nl=False, color=True)
    colors = not os.environ.get("NO_COLOR")
    return lambda line: click.echo(
        _remove_control_sequences(line, colors=colors), nl=False, color=True
    )


def _remove_control_sequences(line: str, *, colors: bool) -> str:
    """Remove control sequences from a line, which a model may have generated."""
    return CONTROL_SEQUENCES.sub(lambda found: (found["color"] or "") if colors else "", line)
