"""The files that an attempt left in its output directory: listing and opening them.

What is in there was decided by a harness, and by whoever may write to a directory that a client
named: all is opened as ``system/untrusted_files.py`` opens it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evalserver.system.untrusted_files import (
    UnreadableFile,
    UntrustedDirectory,
    open_directory,
    open_file,
)

DEEPEST = 64
"""Folders within folders that are looked into."""

NOT_TO_BE_HAD = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENXIO, errno.ENAMETOOLONG}
)
"""What the kernel says of a file that is not there, is something else, or must not be read."""


class NoArtifact(Exception):
    """There is no such file or directory that may be read."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file: its path in the output directory (what is no UTF-8 in it, as ``os.fsdecode`` has
    it), its size in bytes, and when it was modified, in seconds of the epoch."""

    path: str
    size: int
    modified: float


@dataclass(frozen=True)
class Listing:
    """The files of an output directory, in no order; ``truncated`` when that is not all."""

    artifacts: list[Artifact]
    truncated: bool


@dataclass
class _Found:
    """What was found so far, and how much more may be looked at."""

    artifacts: list[Artifact]
    folders: list[tuple[str, ...]]
    left: int
    truncated: bool = False


def open_artifact(output_dir: Path, path: str) -> BinaryIO:
    """Open a file by its path in the output directory. Raises NoArtifact."""
    with _if_it_can_be_had(path):
        return open_file(UntrustedDirectory.for_attempt(output_dir), path)


def open_for_masking(output_dir: Path, path: str) -> BinaryIO:
    """The same, to write into it as well. Raises NoArtifact, OSError."""
    with _if_it_can_be_had(path):
        return open_file(UntrustedDirectory.for_attempt(output_dir), path, writable=True)


def list_artifacts(output_dir: Path, most: int) -> Listing:
    """The regular files below the output directory; looks at ``most`` entries at the most.

    Raises NoArtifact when there is no such directory.
    """
    found = _Found([], [()], most)
    with _if_it_can_be_had(str(output_dir)), open_output_directory(output_dir, ()):
        pass
    while found.folders and found.left:
        _look_into(output_dir, found.folders.pop(), found)
    return Listing(found.artifacts, found.truncated or bool(found.folders))


def _look_into(output_dir: Path, names: tuple[str, ...], found: _Found) -> None:
    if len(names) > DEEPEST:
        found.truncated = True
        return
    try:
        with open_output_directory(output_dir, names) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if not found.left:
                    found.truncated = True
                    return
                found.left -= 1
                _note(entry, names, found)
    except FileNotFoundError:
        pass  # it was removed meanwhile
    except OSError:
        found.truncated = True


def _note(entry: os.DirEntry[str], names: tuple[str, ...], found: _Found) -> None:
    here = (*names, entry.name)
    try:
        if entry.is_dir(follow_symlinks=False):
            found.folders.append(here)
        elif entry.is_file(follow_symlinks=False):
            state = entry.stat(follow_symlinks=False)
            found.artifacts.append(Artifact("/".join(here), state.st_size, state.st_mtime))
    except FileNotFoundError:
        pass  # it was removed meanwhile


def open_output_directory(output_dir: Path, names: tuple[str, ...]) -> AbstractContextManager[int]:
    """The descriptor of a directory below the output directory, within the block. Raises
    OSError."""
    return open_directory(UntrustedDirectory.for_attempt(output_dir).below(*names))


@contextmanager
def _if_it_can_be_had(path: str) -> Iterator[None]:
    try:
        yield
    except UnreadableFile as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno not in NOT_TO_BE_HAD:
            raise error.__cause__ from None
        raise NoArtifact(path) from error
    except OSError as error:
        if error.errno in NOT_TO_BE_HAD:
            raise NoArtifact(path) from error
        raise
