"""``evalserver db``: back up, check, migrate and describe the database."""

from dataclasses import asdict
from pathlib import Path

import click

from evalserver.cli.audit import fail_if_bad
from evalserver.cli.database import (
    database_of,
    errors_in_words,
    with_data_dir,
    with_database,
)
from evalserver.cli.screens import as_json, print_json
from evalserver.cli.settings import HELP_NAMES


@click.group(context_settings=HELP_NAMES)
def db() -> None:
    """Look after the database."""


@db.command()
@click.argument("path", type=click.Path(path_type=Path))
@with_data_dir
@as_json
def backup(path: Path, config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Copy the database to PATH, also while the server runs.

    The copy is one file, as of one moment, checked as `db check` does before it gets its name. A
    file that is there already is never overwritten. To restore: stop the server, move the old
    evalserver.db, -wal and -shm away, and copy the backup to evalserver.db.
    """
    from evalserver.store import back_up

    with errors_in_words():
        made = back_up(database_of(config, data_dir), path)
    if as_json:
        print_json(asdict(made))
        return
    click.echo(f"{made.path}: {made.size} bytes, {made.jobs} jobs, {made.events} events")


@db.command()
@with_database
@as_json
def check(config: Path | None, data_dir: str | None, database: Path | None, as_json: bool) -> None:
    """Check file, references, schema and audit log, also while the server runs.

    Exit code 1 names the first problem.
    """
    from evalserver.store import check_database, snapshot

    path = database_of(config, data_dir, database)
    with errors_in_words(), snapshot(path) as opened:
        verdict = check_database(opened)
    if as_json:
        print_json({"path": path, "ok": verdict.problem is None, **asdict(verdict)})
    fail_if_bad(verdict)
    if as_json:
        return
    click.echo(
        f"{path} is sound: file, references, schema, and an audit log of {verdict.events} events"
        f" that lead to the states of {verdict.jobs} jobs"
    )


@db.command()
@with_data_dir
@as_json
def migrate(config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Bring the database to this evalserver's schema, while no server runs.

    The server does the same when it starts. The old database is copied beside itself first.
    """
    from evalserver.store import migrate_database, snapshot
    from evalserver.system.data_dir import lock_data_dir

    path = database_of(config, data_dir)
    with errors_in_words():
        with snapshot(path):
            pass  # there must be one: a server makes it, a mistyped directory does not
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
    """Tell what the database holds, in figures, also while the server runs."""
    from evalserver.store import describe, snapshot

    path = database_of(config, data_dir, database)
    with errors_in_words(), snapshot(path) as opened:
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
    """Bytes of the file, and of the log beside it in which the newest changes may still lie."""
    wal = path.with_name(f"{path.name}-wal")
    return sum(file.stat().st_size for file in (path, wal) if file.exists())
