"""Making a sound copy of a database while a server runs on it."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from evalserver.core.durable_files import sync
from evalserver.store.check import check_database
from evalserver.store.drafts import draft_of, os_errors, publish
from evalserver.store.errors import BackupFailed, DatabaseRefused
from evalserver.store.reading import read_only, snapshot


@dataclass(frozen=True)
class Backup:
    """A finished backup: its size in bytes, and its content."""

    path: Path
    size: int
    jobs: int
    events: int


def back_up(source: Path, target: Path) -> Backup:
    """Copy a consistent snapshot of the database to ``target``, as a single file.

    The copy appears under its name complete, durable and checked, or not at all. Raises
    DatabaseRefused when the source cannot be read, and BackupFailed when ``target`` exists, or
    the copy cannot be written or is not sound.
    """
    with read_only(source) as database, os_errors(target, BackupFailed):
        if os.path.lexists(target):
            raise BackupFailed(f"{target} exists already; a backup never overwrites a file")
        with draft_of(target) as draft:
            _copy(database, draft)
            backup = _checked(draft, target)
            publish(draft, target, BackupFailed)
        return backup


def _copy(database: sqlite3.Connection, draft: Path) -> None:
    # Not the backup API: its copy would still be in WAL mode, and need two files beside it.
    try:
        database.execute("VACUUM INTO ?", (str(draft),))
    except sqlite3.Error as error:
        raise BackupFailed(f"cannot make the backup: {error}") from error
    sync(draft)


def _checked(draft: Path, target: Path) -> Backup:
    try:
        with snapshot(draft) as copy:
            verdict = check_database(copy)
    except DatabaseRefused as error:
        raise BackupFailed(f"the copy cannot be used, and was removed: {error}") from error
    if verdict.problem is not None:
        raise BackupFailed(f"the copy is not sound, and was removed: {verdict.problem.message}")
    return Backup(target, draft.stat().st_size, verdict.jobs, verdict.events)
