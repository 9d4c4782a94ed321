"""The migrations: numbered SQL files, and what repairs the work of texts that they had before.

A migration that has landed is never edited. Two were, before that was the rule: what their earlier
texts made is known by its checksum, and brought to what their texts of today make.
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
"""The checksum of each earlier text of a migration, and what repairs what it made."""


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
    """All migrations that travel with this evalserver, in their order."""
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
    """Is this the checksum of the migration, or of an earlier text of it that can be repaired?"""
    return checksum == step.checksum or is_repairable(step, checksum)


def is_repairable(step: Migration, checksum: str | None) -> bool:
    """Is this the checksum of an earlier text of the migration?"""
    return REPAIRS.get(checksum or "", "").startswith(f"{step.version:04}_")


def repair_of(step: Migration, checksum: str) -> str:
    """The SQL that brings what an earlier text of a migration made to what it makes today."""
    if not is_repairable(step, checksum):
        raise KeyError(f"{step.name} never had the checksum {checksum}")
    return (_migrations_folder() / "repairs" / REPAIRS[checksum]).read_text(encoding="utf-8")


def statements(sql: str) -> list[str]:
    """The statements of a text, one by one."""
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
        # A bare checkout that was not installed: the folder lies beside the package.
        return Path(__file__).parents[2] / "migrations"
