"""The files that an attempt left in its output directory: listing and opening them.

What is in there was decided by a harness, and by whoever may write to a directory that a client
named. So every step from the output directory to a file is taken by itself, begins at the
directory that the step before opened, and follows no symbolic link: nothing outside is reached, and
there is no moment between a check and an open. Only regular files are opened.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

DEEPEST = 64
"""Folders within folders that are looked into."""

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FILE_TO_WRITE = FILE | os.O_RDWR

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
    names = path.split("/")
    if any(name in ("", ".", "..") or "\0" in name for name in names):
        raise NoArtifact(path)
    with _if_it_can_be_had(path), _directory(output_dir, names[:-1]) as folder:
        return _open_regular(names[-1], folder)


def open_for_masking(output_dir: Path, path: str) -> BinaryIO:
    """The same, to write into it as well. Raises NoArtifact, OSError."""
    names = path.split("/")
    with _directory(output_dir, names[:-1]) as folder:
        return _open_regular(names[-1], folder, FILE_TO_WRITE)


def list_artifacts(output_dir: Path, most: int) -> Listing:
    """The regular files below the output directory; looks at ``most`` entries at the most.

    Raises NoArtifact when there is no such directory.
    """
    found = _Found([], [()], most)
    with _if_it_can_be_had(str(output_dir)), _directory(output_dir, ()):
        pass
    while found.folders and found.left:
        _look_into(output_dir, found.folders.pop(), found)
    return Listing(found.artifacts, found.truncated or bool(found.folders))


def _look_into(output_dir: Path, names: tuple[str, ...], found: _Found) -> None:
    if len(names) > DEEPEST:
        found.truncated = True
        return
    try:
        with _directory(output_dir, names) as folder, os.scandir(folder) as entries:
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


@contextmanager
def _directory(output_dir: Path, names: Sequence[str]) -> Iterator[int]:
    """The descriptor of a directory below the output directory."""
    # The server itself named the last two. What is above them was chosen by its operator or its
    # client, and may well be reached through links.
    folder = os.open(output_dir.parents[1], DIRECTORY)
    try:
        for name in (*output_dir.parts[-2:], *names):
            below = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _open_regular(name: str, folder: int, how: int = FILE) -> BinaryIO:
    # Looked at before, since merely opening a device can do something; and after, since that is
    # what counts.
    _require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))
    descriptor = os.open(name, how, dir_fd=folder)
    try:
        _require_regular(os.fstat(descriptor))
    except NoArtifact:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb" if how == FILE else "r+b")


def _require_regular(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise NoArtifact("it is no regular file")


@contextmanager
def _if_it_can_be_had(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NOT_TO_BE_HAD:
            raise NoArtifact(path) from error
        raise
