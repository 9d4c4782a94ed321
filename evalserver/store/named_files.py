"""Checks that the files the server writes are still those in the data directory.

A file that is removed or renamed stays open and writable, but cannot be found again. So the writer
checks the names before and after each commit, and every second.
"""

from pathlib import Path

from evalserver.store.errors import DatabaseRefused

RUNS_NAME = "runs"
"""The directory within the data directory that has one directory per started job."""

RESTORE = "docs/audit.md says how a backup is restored"

Identity = tuple[int, int]
"""Device and inode."""


class NamedFiles:
    """The database and its ``-wal``, as they were when the server opened them.

    The ``-wal`` is created with the first connection and kept until the last one is closed: SQLite
    overwrites it from its beginning, and never creates another one in between.
    """

    def __init__(self, database: Path) -> None:
        self._paths = (database, database.with_name(f"{database.name}-wal"))
        self._opened = [_identity(path) for path in self._paths]

    def fault(self) -> str | None:
        """What happened to a file and what to do, or None when nothing has changed."""
        for path, opened in zip(self._paths, self._opened, strict=True):
            found = _identity(path)
            if found != opened:
                happened = "was removed or renamed" if found is None else "was replaced by another"
                return (
                    f"{path} {happened} while the server runs, so nothing is accepted: move the"
                    " very same file back, and the server goes on; or stop the server,"
                    f" restore a backup ({RESTORE}), and start it again"
                )
        return None

    @property
    def has_database(self) -> bool:
        """Whether the database file is still the one that was opened."""
        return _identity(self._paths[0]) == self._opened[0]


def require_database_of_runs(database: Path) -> None:
    """Raise DatabaseRefused when the database is missing or empty although jobs have run."""
    size = database.stat().st_size if database.exists() else None
    if size:
        return
    runs = database.parent / RUNS_NAME
    jobs = sum(1 for job in runs.iterdir() if any(job.iterdir())) if runs.is_dir() else 0
    if jobs:
        what = "there is no database at" if size is None else "there are 0 bytes in"
        raise DatabaseRefused(
            f"{what} {database}, but {runs} has the files of jobs ({jobs}): the database was"
            f" removed or emptied. Restore a backup ({RESTORE}); or, if a new beginning without"
            f" those jobs is meant, move {runs} away"
        )


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
