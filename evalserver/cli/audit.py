"""``evalserver audit``: is the audit log whole, and what happened to a job?"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells
from evalserver.cli.archive import archive
from evalserver.cli.database import database_of, errors_in_words, with_database
from evalserver.cli.screens import as_json, plain_table, print_json
from evalserver.cli.settings import HELP_NAMES

if TYPE_CHECKING:
    from evalserver.store import Story, Verdict

COLUMNS = ("event", "at", "who", "what", "from", "to", "attempt", "detail")


@click.group(context_settings=HELP_NAMES)
def audit() -> None:
    """Check, read and archive the audit log."""


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
    """Check that the audit log is whole and leads to the jobs' states.

    Every event must carry the hash of its content and of the event before, no number may be
    missing, every event must be allowed where it stands, and the jobs must be as their events
    leave them. Exit code 1 names the first bad row.
    """
    from evalserver.store import snapshot, verify_log

    with errors_in_words(), snapshot(database_of(config, data_dir, database)) as opened:
        verdict = verify_log(opened, archives)
    if as_json:
        print_json({"ok": verdict.problem is None, **asdict(verdict)})
    fail_if_bad(verdict)
    if not as_json:
        click.echo(
            f"The audit log is whole: {verdict.events} events lead to the states of"
            f" {verdict.jobs} jobs.\nThe newest hash, to keep elsewhere: {verdict.last_hash}"
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
    """Tell the story of a job, also of one that was pruned."""
    from evalserver.store import snapshot, story_of

    with errors_in_words(), snapshot(database_of(config, data_dir, database)) as opened:
        story = story_of(opened, job_id)
    if as_json:
        print_json(asdict(story))
    else:
        click.echo(_told(story))


def fail_if_bad(verdict: "Verdict") -> None:
    """End with exit code 1 and the first bad row on stderr, if there is one."""
    if verdict.problem is not None:
        raise click.ClickException(verdict.problem.message)


def _told(story: "Story") -> str:
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
        for event in story.events
    ]
    archives = [
        f"  Events of it are in the archive {archive.name} (SHA-256 {archive.sha256})"
        for archive in story.archives
    ]
    return "\n".join(
        [f"Job {story.job_id}", *_record(story.record), *archives, "", *plain_table(COLUMNS, rows)]
    )


def _record(record: Mapping[str, Any] | None) -> list[str]:
    if record is None:
        return ["  was pruned; its events are left"]
    said = {name: cells.text(value) for name, value in record.items() if value not in (None, {})}
    width = max(len(name) for name in said)
    return [f"  {name:<{width}}  {value}" for name, value in said.items()]
