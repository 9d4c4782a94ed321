"""Keeping the data directory to its owner."""

import os
from pathlib import Path

FOR_OTHERS = 0o007
WRITABLE_BY_OTHERS = 0o002


class InsecurePermissions(Exception):
    """Everybody on the machine can read what tokens are there to protect; says what to do."""


def make_private(folder: Path) -> None:
    """Make a folder that nobody else can look into, or make one so that is ours. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)


def check_private(database: Path) -> None:
    """Raise InsecurePermissions if users who are neither owner nor group can read or write the
    database, or put another in its place.

    In a directory that they cannot enter they cannot.
    """
    if database.parent.is_dir() and database.parent.stat().st_mode & WRITABLE_BY_OTHERS:
        raise InsecurePermissions(
            f"{database.parent} can be written to by everybody on this machine, who could put"
            f" another database there; do 'chmod 700 {database.parent}'"
        )
    if not database.parent.is_dir() or not database.parent.stat().st_mode & 0o001:
        return
    beside = (database, *database.parent.glob(f"{database.name}*"))
    for path in dict.fromkeys(beside):
        if path.is_file() and path.stat().st_mode & FOR_OTHERS:
            raise InsecurePermissions(
                f"{path} can be read by everybody on this machine, past all tokens;"
                f" do 'chmod o= {path.parent}/*' and 'chmod 700 {path.parent}'"
            )
