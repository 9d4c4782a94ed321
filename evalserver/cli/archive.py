"""``evalserver audit archive``: moving the oldest events of the audit log to a file.

The file is written and checked first. Then the running server, or else this command, records it in
the log and removes its events. After an interruption, the same command continues.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalserver.cli.database import database_path, report_database_errors, with_data_dir
from evalserver.cli.local_server import run_locked_or_ask
from evalserver.cli.screens import as_json, print_json

if TYPE_CHECKING:
    from evalserver.store import Archive

REMOVAL_TIMEOUT_S = 3600.0


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--before",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    help="Archive events from before this time, in UTC.",
)
@with_data_dir
@as_json
def archive(
    path: Path, before: datetime, config: Path | None, data_dir: str | None, as_json: bool
) -> None:
    """Move the oldest events of the log to PATH, even while the server runs.

    The file is a SQLite database whose hash chain continues in the log. It is checked and durable
    before events are removed. Events of existing jobs, and all later events, are kept.
    After an interruption, the same command continues.
    """
    from evalserver.core.clock import timestamp
    from evalserver.store import read_archive, write_archive

    source = database_path(config, data_dir)
    with report_database_errors():
        if path.exists():
            made = read_archive(path)
            _require_unfinished(source, path, made)
        else:
            made = write_archive(source, path, timestamp(before.replace(tzinfo=UTC)))
        with _what_was_done(source, path, made):
            _remove(source.parent, path)
    if as_json:
        print_json({**asdict(made), "path": str(path)})
        return
    click.echo(f"{path}: events {made.first_event} to {made.last_event}")
    click.echo(f"SHA-256 of the file: {made.sha256}")


def _require_unfinished(database: Path, path: Path, made: "Archive") -> None:
    if _left_to_remove(database, made) == 0:
        raise click.ClickException(
            f"{path} exists already: it is the archive of events {made.first_event} to"
            f" {made.last_event}, all removed from the database; give another path"
        )


def _left_to_remove(database: Path, made: "Archive") -> int | None:
    """How many of its events are still in the database; None when it is not recorded there."""
    from evalserver.store import archives_of, first_event_id, snapshot

    with snapshot(database) as opened:
        if made.sha256 not in {each.sha256 for each in archives_of(opened)}:
            return None
        return max(0, made.last_event + 1 - first_event_id(opened))


@contextmanager
def _what_was_done(database: Path, path: Path, made: "Archive") -> Iterator[None]:
    """Say with an error what the database has of it: an answer may be lost on its way."""
    from evalserver.store import StoreError

    try:
        yield
    except (click.ClickException, StoreError, OSError) as error:
        said = error.message if isinstance(error, click.ClickException) else str(error)
        left = _left_to_remove(database, made)
        if left == 0:
            click.echo(f"{said}\nBut all was done by then", err=True)
            return
        done = (
            "Nothing was removed from the log so far"
            if left is None
            else f"The archive is recorded, and {left} of its events are still to be removed"
        )
        raise click.ClickException(
            f"{said}\n{done}. Keep {path}, and give the same command again: it goes on from there"
        ) from error


def _remove(folder: Path, path: Path) -> None:
    """Remove the events of the archive from the log."""
    from evalserver.auth.access import OPERATOR

    run_locked_or_ask(
        folder,
        "evalserver audit archive",
        lambda store: store.server.remove_archived(OPERATOR, path),
        "POST",
        "/audit/archives",
        {"path": str(path.absolute())},
        REMOVAL_TIMEOUT_S,
    )
