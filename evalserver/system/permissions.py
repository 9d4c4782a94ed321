"""File permissions that keep the data directory private."""

import os
from pathlib import Path

FOR_OTHERS = 0o007
WRITABLE_BY_OTHERS = 0o002


class InsecurePermissions(Exception):
    """Other users of the machine can read what tokens protect; says what to do."""


def make_private(folder: Path) -> None:
    """Create a directory, or make an own one, accessible to its owner only. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)


def check_private(database: Path) -> None:
    """Raise InsecurePermissions if other users can read, write or replace the database.

    Other users are those that are neither its owner nor in its group. They cannot access files in a
    directory that they cannot enter.
    """
    if database.parent.is_dir() and database.parent.stat().st_mode & WRITABLE_BY_OTHERS:
        raise InsecurePermissions(
            f"{database.parent} can be written by all users of this machine, who could replace the"
            f" database; run 'chmod 700 {database.parent}'"
        )
    if not database.parent.is_dir() or not database.parent.stat().st_mode & 0o001:
        return
    beside = (database, *database.parent.glob(f"{database.name}*"))
    for path in dict.fromkeys(beside):
        if path.is_file() and path.stat().st_mode & FOR_OTHERS:
            raise InsecurePermissions(
                f"{path} can be read by all users of this machine, without a token;"
                f" run 'chmod o= {path.parent}/*' and 'chmod 700 {path.parent}'"
            )
