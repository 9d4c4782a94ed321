"""A sound copy of a database, made while a server runs on it."""

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from evalserver.store.check import check_database
from evalserver.store.errors import BackupFailed, DatabaseRefused
from evalserver.store.reading import read_only, snapshot

DRAFT_SUFFIX = ".evalserver-draft"
"""Of a backup that is being made; nobody else names a file so."""


@dataclass(frozen=True)
class Backup:
    """A copy that was made: its size in bytes, and what is in it."""

    path: Path
    size: int
    jobs: int
    events: int


def back_up(source: Path, target: Path) -> Backup:
    """Copy the database as it is at one moment to ``target``: one file that needs no other.

    The copy appears under its name whole, durable and checked, or not at all. Raises
    DatabaseRefused when the source cannot be read, and BackupFailed when there is something at
    ``target``, the copy cannot be written, or is not sound.
    """
    with read_only(source) as database, _os_errors(target):
        if os.path.lexists(target):
            raise BackupFailed(f"{target} exists already; a backup never overwrites a file")
        with _draft(target) as draft:
            _copy(database, draft)
            backup = _checked(draft, target)
            _publish(draft, target)
        return backup


@contextmanager
def _os_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"cannot write the backup {target}: {error.strerror}") from error


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """An empty file beside the target, for its owner alone, that is gone at the end.

    It is locked meanwhile, so that one which a killed process left is known by its free lock.
    """
    folder = target.absolute().parent
    _remove_left_drafts(folder)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=DRAFT_SUFFIX, dir=folder)
    try:
        with suppress(OSError):  # a file system without locks: then no draft is ever removed there
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(descriptor)


def _remove_left_drafts(folder: Path) -> None:
    """Remove the drafts of backups that were killed."""
    for draft in folder.glob(f".*{DRAFT_SUFFIX}"):
        with suppress(OSError), draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def _copy(database: sqlite3.Connection, draft: Path) -> None:
    # Not the backup API: its copy would still be in WAL mode, and need two files beside it.
    try:
        database.execute("VACUUM INTO ?", (str(draft),))
    except sqlite3.Error as error:
        raise BackupFailed(f"cannot make the backup: {error}") from error
    _sync(draft)


def _checked(draft: Path, target: Path) -> Backup:
    try:
        with snapshot(draft) as copy:
            verdict = check_database(copy)
    except DatabaseRefused as error:
        raise BackupFailed(f"the copy cannot be used, and was removed: {error}") from error
    if verdict.problem is not None:
        raise BackupFailed(f"the copy is not sound, and was removed: {verdict.problem.message}")
    return Backup(target, draft.stat().st_size, verdict.jobs, verdict.events)


def _publish(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)  # fails when there is something by now, unlike a renaming
    except FileExistsError:
        raise BackupFailed(f"{target} appeared meanwhile; it was left alone") from None
    except OSError:  # a file system without hard links
        draft.rename(target)
    _sync(target.absolute().parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
