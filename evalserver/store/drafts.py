"""Files that appear under their name complete and durable, or not at all: backups and archives."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evalserver.core.durable_files import sync
from evalserver.store.errors import StoreError

DRAFT_SUFFIX = ".evalserver-draft"
"""The suffix of an unfinished file, used by nothing else."""


@contextmanager
def os_errors(target: Path, failed: type[StoreError], verb: str = "write") -> Iterator[None]:
    """Raise ``failed`` for errors of the operating system."""
    try:
        yield
    except OSError as error:
        raise failed(f"cannot {verb} {target}: {error.strerror}") from error


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """An empty file beside the target, accessible to its owner only, removed at the end.

    It is locked while in use: a draft left by a killed process is recognized by its free lock.
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
    """Rename a draft to its target, durably. Raises ``failed`` when the target exists by now."""
    try:
        os.link(draft, target)  # unlike a rename, this fails when the target exists
    except FileExistsError:
        raise failed(f"{target} appeared meanwhile; it was left alone") from None
    except OSError:  # a file system without hard links
        draft.rename(target)
    sync(target.absolute().parent)
