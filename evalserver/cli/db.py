"""``evalserver db``: backing up, checking, migrating and describing the database."""

from dataclasses import asdict
from pathlib import Path

import click

from evalserver.cli.audit import exit_if_invalid
from evalserver.cli.database import (
    database_path,
    report_database_errors,
    with_data_dir,
    with_database,
)
from evalserver.cli.groups import CommandGroup
from evalserver.cli.screens import as_json, print_json
from evalserver.cli.settings import HELP_OPTIONS


@click.group(cls=CommandGroup, context_settings=HELP_OPTIONS)
def db() -> None:
    """Maintain the database."""


@db.command()
@click.argument("path", type=click.Path(path_type=Path))
@with_data_dir
@as_json
def backup(path: Path, config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Copy the database to PATH, even while the server runs.

    The copy is one consistent file, checked like 'db check' does before it gets its name. An
    existing file is never overwritten. To restore: stop the server, move the old evalserver.db,
    -wal and -shm away, and copy the backup to evalserver.db.
    """
    from evalserver.store import back_up

    with report_database_errors():
        made = back_up(database_path(config, data_dir), path)
    if as_json:
        print_json(asdict(made))
        return
    click.echo(f"{made.path}: {made.size} bytes, {made.jobs} jobs, {made.events} events")


@db.command()
@with_database
@as_json
def check(config: Path | None, data_dir: str | None, database: Path | None, as_json: bool) -> None:
    """Check file, references, schema and audit log, even while the server runs.

    With exit code 1, the first problem is named.
    """
    from evalserver.store import check_database, snapshot

    path = database_path(config, data_dir, database)
    with report_database_errors(), snapshot(path) as opened:
        verdict = check_database(opened)
    if as_json:
        print_json({"path": path, "ok": verdict.problem is None, **asdict(verdict)})
    exit_if_invalid(verdict)
    if as_json:
        return
    click.echo(
        f"{path} is valid: file, references, schema, and an audit log of {verdict.events} events"
        f" that lead to the states of {verdict.jobs} jobs"
    )


@db.command()
@with_data_dir
@as_json
def migrate(config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Migrate the database to the schema of this evalserver, while no server runs.

    The server does the same when it starts. A backup is made next to the database first.
    """
    from evalserver.store import migrate_database, snapshot
    from evalserver.system.data_dir import lock_data_dir

    path = database_path(config, data_dir)
    with report_database_errors():
        with snapshot(path):
            pass  # it must exist, so that a mistyped directory gets no new database
        with lock_data_dir(path.parent, "evalserver db migrate"):
            done = migrate_database(path)
    if as_json:
        print_json({"path": path, **asdict(done)})
    elif done.before == done.after:
        click.echo(f"{path} is up to date: schema version {done.after}")
    else:
        click.echo(f"{path}: schema version {done.before} -> {done.after}; backup: {done.backup}")


@db.command()
@with_database
@as_json
def info(config: Path | None, data_dir: str | None, database: Path | None, as_json: bool) -> None:
    """Show statistics of the database, even while the server runs."""
    from evalserver.store import describe, snapshot

    path = database_path(config, data_dir, database)
    with report_database_errors(), snapshot(path) as opened:
        found = describe(opened)
    values = {"path": str(path), "size": _size(path), **asdict(found)}
    if as_json:
        print_json(values)
        return
    values["jobs"] = ", ".join(f"{count} {status}" for status, count in found.jobs.items())
    values["size"] = f"{values['size']} bytes"
    for name, value in values.items():
        click.echo(f"{name.replace('_', ' '):<16}{'-' if value is None else value}")


def _size(path: Path) -> int:
    """Return the bytes of the file and of its write-ahead log, which may have the newest
    changes."""
    wal = path.with_name(f"{path.name}-wal")
    return sum(file.stat().st_size for file in (path, wal) if file.exists())
