"""Files that appear under their name whole and durable, or not at all: backups and archives."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evalserver.store.errors import StoreError

DRAFT_SUFFIX = ".evalserver-draft"
"""Of a file that is being made; nobody else names a file so."""


@contextmanager
def os_errors(target: Path, failed: type[StoreError], verb: str = "write") -> Iterator[None]:
    """Raise ``failed`` for what the system refuses."""
    try:
        yield
    except OSError as error:
        raise failed(f"cannot {verb} {target}: {error.strerror}") from error


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
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
    """Remove the drafts of processes that were killed."""
    for draft in folder.glob(f".*{DRAFT_SUFFIX}"):
        with suppress(OSError), draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def publish(draft: Path, target: Path, failed: type[StoreError]) -> None:
    """Give a draft its name, durably. Raises ``failed`` when something has that name by now."""
    try:
        os.link(draft, target)  # fails when there is something by now, unlike a renaming
    except FileExistsError:
        raise failed(f"{target} appeared meanwhile; it was left alone") from None
    except OSError:  # a file system without hard links
        draft.rename(target)
    sync(target.absolute().parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
