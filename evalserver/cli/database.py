"""What the commands share that read a database: which one, and what is said when it cannot be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from evalserver.cli.settings import given_settings, with_settings

Command = Callable[..., Any]

with_data_dir = with_settings("data_dir")


def with_database(command: Command) -> Command:
    """Give a command the options that say which database to read."""
    file = click.option(
        "--database",
        type=click.Path(path_type=Path),
        help="Read this file, such as a backup, and not the one in the data directory.",
    )
    return with_data_dir(file(command))


def database_of(config: Path | None, data_dir: str | None, database: Path | None = None) -> Path:
    """The database that the options name, else the one that the server would use."""
    from evalserver.store import DATABASE_NAME

    if database is None:
        args = given_settings(config, {"data_dir": data_dir})
        return Path(args.data_dir).absolute() / DATABASE_NAME
    if data_dir is not None:
        raise click.UsageError("--database and --data-dir name two databases; give one of them")
    return database


@contextmanager
def errors_in_words() -> Iterator[None]:
    """What can go wrong with a database becomes one line on stderr, and exit code 1."""
    from evalserver.store import StoreError
    from evalserver.system.data_dir import DataDirTaken

    try:
        yield
    except (StoreError, DataDirTaken) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
