"""What the commands that read a database share: choosing it, and reporting its errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from evalserver.cli.settings import settings_from_options, with_settings

Command = Callable[..., Any]

with_data_dir = with_settings("data_dir")


def with_database(command: Command) -> Command:
    """Add the options that select the database to a command."""
    file = click.option(
        "--database",
        type=click.Path(path_type=Path),
        help="Read this file, such as a backup, instead of the one in the data directory.",
    )
    return with_data_dir(file(command))


def database_path(config: Path | None, data_dir: str | None, database: Path | None = None) -> Path:
    """Return the database that the options select, else the one that the server would use."""
    from evalserver.store import DATABASE_NAME

    if database is None:
        args = settings_from_options(config, {"data_dir": data_dir})
        return Path(args.data_dir).absolute() / DATABASE_NAME
    if data_dir is not None:
        raise click.UsageError("--database and --data-dir exclude each other; give one of them")
    return database


@contextmanager
def report_database_errors() -> Iterator[None]:
    """Turn errors of the database into one line on stderr and exit code 1."""
    from evalserver.store import StoreError
    from evalserver.system.data_dir import DataDirTaken

    try:
        yield
    except (StoreError, DataDirTaken) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
