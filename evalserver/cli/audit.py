"""``evalserver audit``: verifying the audit log, and showing the history of a job."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells
from evalserver.cli.archive import archive
from evalserver.cli.database import database_path, report_database_errors, with_database
from evalserver.cli.groups import CommandGroup
from evalserver.cli.screens import as_json, plain_table, print_json
from evalserver.cli.settings import HELP_OPTIONS

if TYPE_CHECKING:
    from evalserver.store import JobHistory, Verdict

COLUMNS = ("event", "at", "who", "what", "from", "to", "attempt", "detail")


@click.group(cls=CommandGroup, context_settings=HELP_OPTIONS)
def audit() -> None:
    """Verify, read and archive the audit log."""


audit.add_command(archive)


@audit.command()
@click.option(
    "--archive",
    "archives",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file that `audit archive` wrote; give all of them to check the log from its beginning.",
)
@with_database
@as_json
def verify(
    archives: tuple[Path, ...],
    config: Path | None,
    data_dir: str | None,
    database: Path | None,
    as_json: bool,
) -> None:
    """Verify that the audit log is complete and matches the jobs.

    Every event must have the hash of its content and of the previous event, no number may be
    missing, every event must be allowed in the state of its job, and every job must be in the
    state that its events lead to. With exit code 1, the first invalid row is named.
    """
    from evalserver.store import snapshot, verify_log

    with report_database_errors(), snapshot(database_path(config, data_dir, database)) as opened:
        verdict = verify_log(opened, archives)
    if as_json:
        print_json({"ok": verdict.problem is None, **asdict(verdict)})
    exit_if_invalid(verdict)
    if not as_json:
        click.echo(
            f"The audit log is complete: {verdict.events} events lead to the states of"
            f" {verdict.jobs} jobs.\nThe newest hash, to be kept elsewhere: {verdict.last_hash}"
        )
        for part in verdict.parts:
            unread = "" if part.was_read else "; it was not read: give it with --archive"
            click.echo(f"Events {part.first_event} to {part.last_event}: {part.place}{unread}")


@audit.command()
@click.argument("job_id", metavar="JOB")
@with_database
@as_json
def show(
    job_id: str,
    config: Path | None,
    data_dir: str | None,
    database: Path | None,
    as_json: bool,
) -> None:
    """Show the history of a job, even of a pruned one."""
    from evalserver.store import history_of, snapshot

    with report_database_errors(), snapshot(database_path(config, data_dir, database)) as opened:
        history = history_of(opened, job_id)
    if as_json:
        print_json(asdict(history))
    else:
        click.echo(_format_history(history))


def exit_if_invalid(verdict: "Verdict") -> None:
    """Exit with code 1 and name the first invalid row on stderr, if there is one."""
    if verdict.problem is not None:
        raise click.ClickException(verdict.problem.message)


def _format_history(history: "JobHistory") -> str:
    rows = [
        (
            str(event.event_id),
            event.at,
            event.actor,
            event.event,
            event.from_status or "",
            event.to_status or "",
            str(event.attempt),
            cells.pairs(event.detail),
        )
        for event in history.events
    ]
    archives = [
        f"  Events of it are in the archive {archive.name} (SHA-256 {archive.sha256})"
        for archive in history.archives
    ]
    return "\n".join(
        [
            f"Job {history.job_id}",
            *_record(history.record),
            *archives,
            "",
            *plain_table(COLUMNS, rows),
        ]
    )


def _record(record: Mapping[str, Any] | None) -> list[str]:
    if record is None:
        return ["  was pruned; its events are kept"]
    said = {name: cells.text(value) for name, value in record.items() if value not in (None, {})}
    width = max(len(name) for name in said)
    return [f"  {name:<{width}}  {value}" for name, value in said.items()]
