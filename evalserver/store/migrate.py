"""Upgrading a database file to this evalserver's schema, or rejecting it unchanged.

``application_id`` identifies our files, ``user_version`` is the number of applied migrations, and
``schema_migrations`` keeps the checksum of each, so that an edited migration is detected. The
result of an earlier text of a migration is repaired first (``migration_files``). Runs before
anything else has the file open.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.store.errors import DatabaseRefused
from evalserver.store.migration_files import (
    Migration,
    is_accepted,
    known_migrations,
    repair_of,
    statements,
)

APPLICATION_ID = 0x6576616C
"""``eval`` in ASCII; the ``PRAGMA application_id`` of our files."""

HEADER_BYTES = 100

MAX_PATH_BYTES = 450
"""SQLite takes paths of 512 bytes at most, after all links; names of backups need up to 40 more
than that of the database."""

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables came with it."""


@dataclass(frozen=True)
class Upgrade:
    """An upgrade of a database: its old and new version, and the path of the backup."""

    before: int
    after: int
    backup: Path | None = None


def migrate(
    path: Path, clock: Clock = utc_now, migrations: list[Migration] | None = None
) -> Upgrade:
    """Create or upgrade the database at ``path``.

    An existing database that needs a migration is copied beside itself first. Raises
    DatabaseRefused, having changed nothing, when the file is not ours, is newer than this
    evalserver, or was made by a migration whose text has changed since.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DatabaseRefused(
            f"this Python's SQLite is {sqlite3.sqlite_version}; evalserver needs 3.37 or newer"
        )
    steps = known_migrations() if migrations is None else migrations
    check_header(path, steps)
    make_private_file(path)
    with _Connection(path) as connection:
        version = check_version(connection, path, steps)
        edited = _edited(connection, steps[:version])
        if version == len(steps) and not edited:
            return Upgrade(version, version)
        backup = _back_up(connection, path, version, clock) if version > 0 else None
        connection.execute("PRAGMA journal_mode = WAL")
        for step, applied in edited:
            _repair(connection, step, applied)
        for step in steps[version:]:
            _apply(connection, step, clock)
    return Upgrade(version, len(steps), backup)


def make_private_file(path: Path) -> None:
    """Make an empty file that its owner alone can read, unless one is there: SQLite fills it, and
    gives its rights to those that it puts beside it."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def check_header(path: Path, steps: list[Migration]) -> None:
    """Reject a file by its first bytes alone (https://www.sqlite.org/fileformat.html).

    Raises DatabaseRefused. Opening a database would already replay the log that a crash left
    beside it.
    """
    _check_length(path)
    header = b""
    if path.exists():
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    if len(header) == HEADER_BYTES and header.startswith(b"SQLite format 3\0"):
        version = int.from_bytes(header[60:64], "big")
        application_id = int.from_bytes(header[68:72], "big")
        if (version, application_id) != (0, 0):
            _check_numbers(path, application_id, version, steps)


def check_version(connection: sqlite3.Connection, path: Path, steps: list[Migration]) -> int:
    """The schema version of an open database, 0 when it is empty.

    Raises DatabaseRefused when it is not ours, is newer, or has an edited history.
    """
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables == 0 and version == 0 and application_id == 0:
        return 0
    _check_numbers(path, application_id, version, steps)
    applied = dict(connection.execute("SELECT version, checksum FROM schema_migrations"))
    for step in steps[:version]:
        if not is_accepted(step, applied.get(step.version)):
            raise DatabaseRefused(
                f"{path} was made by a migration {step.name} with another text than this "
                "evalserver's; a released migration is never edited"
            )
    return version


def run_statements(connection: sqlite3.Connection, step: Migration) -> None:
    """Execute a migration's statements in the caller's transaction."""
    # Not executescript: it would commit the transaction that makes the step all or nothing.
    for statement in statements(step.sql):
        connection.execute(statement)


class _Connection:
    """A connection that is closed at the end, and translates SQLite's errors into ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._connection.close()
        if isinstance(error, sqlite3.Error):
            raise DatabaseRefused(f"cannot open the database {self._path}: {error}") from error


def _check_length(path: Path) -> None:
    length = len(os.fsencode(os.path.realpath(path)))
    if length > MAX_PATH_BYTES:
        raise DatabaseRefused(
            f"the path of the database has {length} bytes, and SQLite opens no more than"
            f" {MAX_PATH_BYTES} with the names that it puts beside it; choose a shorter"
            f" --data-dir than {path.parent}"
        )


def _check_numbers(path: Path, application_id: int, version: int, steps: list[Migration]) -> None:
    if application_id != APPLICATION_ID:
        raise DatabaseRefused(
            f"{path} is not an evalserver database (application_id {application_id:#x}); "
            "choose another --data-dir"
        )
    if version > len(steps):
        raise DatabaseRefused(
            f"{path} has schema version {version}, this evalserver knows versions up to "
            f"{len(steps)}; start a newer evalserver, or restore a backup made before the upgrade"
        )


def _back_up(connection: sqlite3.Connection, path: Path, version: int, clock: Clock) -> Path:
    stamp = clock().strftime("%Y%m%dT%H%M%SZ")
    names = (f"{path.name}.v{version}-{stamp}{again}.backup" for again in _suffixes())
    copy = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    make_private_file(copy)
    connection.execute("VACUUM INTO ?", (str(copy),))
    return copy


def _suffixes() -> Iterator[str]:
    """Distinguish the backups of upgrades that are retried within a second."""
    yield ""
    for number in count(2):
        yield f"-{number}"


def _edited(connection: sqlite3.Connection, steps: list[Migration]) -> list[tuple[Migration, str]]:
    """The migrations that were applied with an earlier text, each with the checksum of that."""
    if not steps:
        return []
    applied = dict(connection.execute("SELECT version, checksum FROM schema_migrations"))
    return [
        (step, applied[step.version]) for step in steps if applied[step.version] != step.checksum
    ]


def _repair(connection: sqlite3.Connection, step: Migration, applied: str) -> None:
    """Convert the result of an earlier text of a migration to that of the current text."""
    # Re-creates a table that others reference; this can only be set outside a transaction.
    connection.execute("PRAGMA foreign_keys = OFF")
    with _all_or_nothing(connection):
        for statement in statements(repair_of(step, applied)):
            connection.execute(statement)
        connection.execute(
            "UPDATE schema_migrations SET checksum = ? WHERE version = ?",
            (step.checksum, step.version),
        )


def _apply(connection: sqlite3.Connection, step: Migration, clock: Clock) -> None:
    with _all_or_nothing(connection):
        run_statements(connection, step)
        if step.version == 1:
            connection.execute(
                "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                " checksum TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT"
            )
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum, applied_at)"
            " VALUES (?, ?, ?, ?)",
            (step.version, step.name, step.checksum, timestamp(clock())),
        )
        connection.execute(f"PRAGMA user_version = {step.version}")


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
