"""Opening files that a harness, or whoever may write to its directories, has left.

Every step from a trusted directory to the file is taken by itself, from the directory that the step
before opened, and follows no symbolic link: nothing outside is reached, and there is no moment
between a check and an open. Only regular files are opened, nothing is waited for, and no more is
read than the caller says. All of it may wait for a disk: call it in a thread.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from evalserver.core.bounded_json import MAX_VALUES, InvalidJson, parse_object

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

MISSING = frozenset({errno.ENOENT})

NOT_REGULAR = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a FIFO"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


class UnreadableFile(Exception):
    """A file that is not there or must not be read; names it, and says why."""


class MissingFile(UnreadableFile):
    """There is no such file."""


@dataclass(frozen=True)
class UntrustedDirectory:
    """A directory that others write to. Links are followed on the way to ``trusted``, and nowhere
    behind it: ``steps`` are the names of the directories from there on."""

    trusted: Path
    steps: tuple[str, ...] = ()

    @classmethod
    def for_attempt(cls, path: Path) -> "UntrustedDirectory":
        """The run directory or output directory of an attempt.

        The server itself named the last two directories. What is above them was chosen by its
        operator or its client, and may well be reached through links.
        """
        return cls(path.parents[1], path.parts[-2:])

    @property
    def path(self) -> Path:
        """Where it is, for whoever reads of it."""
        return self.trusted.joinpath(*self.steps)

    def below(self, *names: str) -> "UntrustedDirectory":
        """A directory in it."""
        return UntrustedDirectory(self.trusted, (*self.steps, *names))


@contextmanager
def open_directory(directory: UntrustedDirectory) -> Iterator[int]:
    """The descriptor of the directory, within the block. Raises OSError."""
    folder = os.open(directory.trusted, DIRECTORY)
    try:
        for name in directory.steps:
            _require_name(name)
            below = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def open_file(directory: UntrustedDirectory, path: str, *, writable: bool = False) -> BinaryIO:
    """Open a regular file by its path in the directory. Raises UnreadableFile, MissingFile."""
    *folders, name = path.split("/")
    whole = directory.path / path
    with _translate_errors(whole):
        _require_name(name)
        with open_directory(directory.below(*folders)) as folder:
            descriptor = _open_regular(name, whole, folder, os.O_NOFOLLOW, writable)
    return os.fdopen(descriptor, "r+b" if writable else "rb")


def open_named_file(path: Path) -> BinaryIO:
    """Open a regular file that an operator or client named, through links if need be.

    Raises UnreadableFile, MissingFile.
    """
    with _translate_errors(path):
        return os.fdopen(_open_regular(str(path), path, None, 0, writable=False), "rb")


def list_names(directory: UntrustedDirectory, max_entries: int) -> dict[str, bool]:
    """What is in the directory itself, in order: of each name, whether it is that of a directory.

    Raises UnreadableFile, also when there is more than ``max_entries``; MissingFile.
    """
    with (
        _translate_errors(directory.path),
        open_directory(directory) as folder,
        os.scandir(folder) as entries,
    ):
        found = {
            each.name: each.is_dir(follow_symlinks=False)
            for each in islice(entries, max_entries + 1)
        }
    if len(found) > max_entries:
        raise UnreadableFile(f"{directory.path}: it has more than {max_entries} entries")
    return dict(sorted(found.items()))


def read_file(directory: UntrustedDirectory, path: str, max_bytes: int) -> bytes:
    """All of a file of the directory. Raises UnreadableFile, MissingFile."""
    with open_file(directory, path) as file:
        return _content_of(file, directory.path / path, max_bytes)


def read_named_file(path: Path, max_bytes: int) -> bytes:
    """All of a file that an operator or client named. Raises UnreadableFile, MissingFile."""
    with open_named_file(path) as file:
        return _content_of(file, path, max_bytes)


def read_json(
    directory: UntrustedDirectory, path: str, max_bytes: int, max_values: int = MAX_VALUES
) -> dict[str, Any]:
    """Read a JSON object from a file in the directory. Raises UnreadableFile, MissingFile."""
    return _object_in(read_file(directory, path, max_bytes), directory.path / path, max_values)


def read_named_json(path: Path, max_bytes: int) -> dict[str, Any]:
    """The JSON object in a file that an operator or client named. Raises UnreadableFile,
    MissingFile."""
    return _object_in(read_named_file(path, max_bytes), path)


def _object_in(text: bytes, path: Path, max_values: int = MAX_VALUES) -> dict[str, Any]:
    try:
        return parse_object(text, max_values)
    except InvalidJson as error:
        raise UnreadableFile(f"{path}: {error}") from None


def _content_of(file: BinaryIO, path: Path, max_bytes: int) -> bytes:
    with _translate_errors(path):
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(f"{path}: it has more than {max_bytes} bytes, and is not read")
    return content


def _open_regular(name: str, path: Path, folder: int | None, no_follow: int, writable: bool) -> int:
    # Looked at before, since merely opening a device can do something; and after, since that is
    # what counts.
    _require_regular(os.stat(name, dir_fd=folder, follow_symlinks=not no_follow), path)
    how = FILE | no_follow | (os.O_RDWR if writable else 0)
    descriptor = os.open(name, how, dir_fd=folder)
    try:
        _require_regular(os.fstat(descriptor), path)
    except UnreadableFile:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(state: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(state.st_mode):
        kinds = (what for is_kind, what in NOT_REGULAR if is_kind(state.st_mode))
        raise UnreadableFile(f"{path}: it {next(kinds, 'is something else')}, and no regular file")


def _require_name(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise FileNotFoundError(errno.ENOENT, "it cannot be the name of a file", name)


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = MissingFile if error.errno in MISSING else UnreadableFile
        raise kind(f"{path}: {_reason(error)}") from error
    except ValueError as error:
        raise UnreadableFile(f"{str(path)!r}: {error}") from None


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a part of its path is a symbolic link, or is no directory"
    return os.strerror(error.errno) if error.errno else str(error)
