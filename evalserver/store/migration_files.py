"""The migrations: numbered SQL files, and repairs for databases made by earlier texts of them.

A landed migration is never edited. Two were, before that was the rule: databases made by their
earlier texts are recognized by checksum, and converted to the result of the current texts.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from evalserver.store.errors import DatabaseRefused

REPAIRS = {
    # 0001, without finish numbers and counts of jobs; the first also with other indexes.
    "7cb1fdd7490bd2f470d19cb26a758cca2599b2b2d4d0ea2665e6d6175411d19b": "0001_finish_numbers.sql",
    "6179a1d61c933224a0348e428a951dd8e672cd09d414dc15da90c2df9248d027": "0001_finish_numbers.sql",
    # 0001, without the trigger against REPLACE.
    "e77760132beb96f206ab2156f329daa6a0a3d5b923732a6e079fe4a578d4020a": "0001_no_replace.sql",
    # 0007, with every job in its indexes of times.
    "8412b2b0d7bd0a474a48ab768754f779d47384f3136408c3460cfb9310a8d994": "0007_partial_indexes.sql",
}
"""The checksum of each earlier text of a migration, and the repair of its result."""


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text, as hexadecimal digits."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known_migrations() -> list[Migration]:
    """All migrations that ship with this evalserver, in order."""
    files = [file for file in _migrations_folder().iterdir() if file.name.endswith(".sql")]
    migrations = [
        Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8"))
        for file in sorted(files, key=lambda file: file.name)
    ]
    versions = [migration.version for migration in migrations]
    if not versions or versions != list(range(1, len(versions) + 1)):
        raise DatabaseRefused(f"evalserver's own migrations are incomplete: {versions}")
    return migrations


def is_accepted(step: Migration, checksum: str | None) -> bool:
    """Whether this is the checksum of the migration, or of a repairable earlier text of it."""
    return checksum == step.checksum or is_repairable(step, checksum)


def is_repairable(step: Migration, checksum: str | None) -> bool:
    """Whether this is the checksum of an earlier text of the migration."""
    return REPAIRS.get(checksum or "", "").startswith(f"{step.version:04}_")


def repair_of(step: Migration, checksum: str) -> str:
    """The SQL that converts the result of an earlier text of a migration to the current one."""
    if not is_repairable(step, checksum):
        raise KeyError(f"{step.name} never had the checksum {checksum}")
    return (_migrations_folder() / "repairs" / REPAIRS[checksum]).read_text(encoding="utf-8")


def statements(sql: str) -> list[str]:
    """The single statements of an SQL text."""
    found: list[str] = []
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return [*found, pending] if pending.strip() else found


def _migrations_folder() -> resources.abc.Traversable:
    try:
        return resources.files("evalserver.migrations")
    except ModuleNotFoundError:
        # A checkout that was not installed: the folder is beside the package.
        return Path(__file__).parents[2] / "migrations"
