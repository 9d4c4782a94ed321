"""Files that are on disk when a function returns, whole, also after a power cut."""

import os
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is there with its whole content, or as it was before, for its user only.

    Raises OSError.
    """
    draft = path.with_name(_draft_name(path.name))
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        replace_durably(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def remove_drafts(folder: Path, pattern: str) -> None:
    """Remove what crashes left of files being written whose names match. Raises OSError."""
    for draft in folder.glob(_draft_name(pattern)):
        draft.unlink(missing_ok=True)


def replace_durably(draft: Path, path: Path) -> None:
    """Give a file, whose content is on disk, its name. Raises OSError."""
    draft.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Sync a file, or the entries of a directory, to disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft_name(name: str) -> str:
    return f".{name}.new"
