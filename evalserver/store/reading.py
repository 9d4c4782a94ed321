"""Reading a consistent snapshot of a database file from outside the server, read-only.

Works while a server runs on it, while none does, and on a copy. A second writable connection is not
an option: Debian's SQLite can corrupt a database that two of them write concurrently.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from evalserver.store.errors import DatabaseRefused
from evalserver.store.migrate import check_header, check_version
from evalserver.store.migration_files import Migration, known_migrations

BUSY_SECONDS = 30.0
"""How long to wait for a server that is just starting or stopping."""


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A consistent snapshot of the database, whatever is written meanwhile.

    Raises DatabaseRefused when the database is missing, is not ours, is newer than this evalserver,
    or cannot be read.
    """
    with read_only(path) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, where each query sees its current state. Raises as ``snapshot`` does."""
    steps = known_migrations()
    _check_file(path, steps)
    try:
        with closing(_connect(path)) as connection:
            if check_version(connection, path, steps) == 0:
                raise DatabaseRefused(f"the database {path} is empty: no server ever used it")
            yield connection
    except sqlite3.Error as error:
        raise DatabaseRefused(f"cannot read the database {path}: {error}") from error


def _check_file(path: Path, steps: list[Migration]) -> None:
    try:
        if not path.exists():
            raise DatabaseRefused(f"there is no database at {path}")
        check_header(path, steps)
    except OSError as error:
        raise DatabaseRefused(f"cannot read the database {path}: {error.strerror}") from error


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    connection.row_factory = sqlite3.Row
    return connection
