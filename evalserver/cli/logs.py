"""``evalserver logs``: what a job's harness prints."""

import os
import re
import sys
from collections.abc import Callable

import click

from evalserver.cli.connection import Server, job_argument, job_id_of, with_server
from evalserver.cli.screens import is_terminal, on_terminal, print_json_line

COLOURS_OFF = "\x1b[0m"

STEERING = re.compile(
    r"(?P<colour>\x1b\[[0-9;]*m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"
    r"|[^\t\r\n\x20-\x7e\xa0-\U0010ffff]"
)
"""What a terminal does not show but obeys; of that, colours do no harm."""


@click.command()
@job_argument
@click.option("--follow", "-f", is_flag=True, help="Go on as it grows, until the job has ended.")
@click.option("--tail", "-n", type=click.IntRange(min=1), metavar="LINES", help="The last so many.")
@click.option("--attempt", type=click.IntRange(min=1), help="Of an earlier attempt.")
@click.option("--raw", is_flag=True, help="As it was printed: colours, redrawn bars and all.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each line.")
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
    """Show what a job's harness prints.

    On a terminal, with its colours and progress bars; else as plain text, with the last state of
    each bar.
    """
    with server.client() as client:
        job_id = job_id_of(client, job)
        if client.get_job(job_id)["status"] == "queued" and attempt is None:
            on_terminal(lambda: "The job is queued and prints nothing yet.")
    show = _shown(raw=raw, as_json=as_json)
    plain = not raw and (as_json or not is_terminal(sys.stdout))
    with server.client(patient=follow) as client:
        lines = client.logs(job_id, tail=tail, follow=follow, plain=plain, attempt=attempt)
        for line in lines:
            show(line)
    if is_terminal(sys.stdout):
        click.echo(COLOURS_OFF, nl=False)


def _shown(*, raw: bool, as_json: bool) -> Callable[[str], None]:
    """How a line is shown."""
    if as_json:
        return lambda line: print_json_line({"line": line.rstrip("\r\n")})
    if raw or not is_terminal(sys.stdout):
        return lambda line: click.echo(line, nl=False, color=True)
    colours = not os.environ.get("NO_COLOR")
    return lambda line: click.echo(_harmless(line, colours=colours), nl=False, color=True)


def _harmless(line: str, *, colours: bool) -> str:
    """The line without what would steer the terminal: it may come from a model."""
    return STEERING.sub(lambda found: (found["colour"] or "") if colours else "", line)
