"""Opens and reads files that a harness, or others with access to its directories, may have written.

Each component of a path below a trusted directory is opened relative to the previous one, without
following symbolic links, so no path leads outside and there is no race between check and open. Only
regular files are opened, opening never blocks, and the caller limits how much is read. All
functions may wait for a disk: call them in a thread.
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

FILE_KINDS = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a FIFO"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


class UnreadableFile(Exception):
    """A file does not exist or must not be read; names it, and says why."""


class MissingFile(UnreadableFile):
    """The file does not exist."""


@dataclass(frozen=True)
class UntrustedDirectory:
    """A directory that others can write to: ``trusted``, and the names of the directories below it.

    Symbolic links are followed on the way to ``trusted``, but not below it.
    """

    trusted: Path
    steps: tuple[str, ...] = ()

    @classmethod
    def for_attempt(cls, path: Path) -> "UntrustedDirectory":
        """Return the run directory or output directory of an attempt.

        The server chose the names of the last two directories. The operator or the client chose the
        path above them, which may contain links.
        """
        return cls(path.parents[1], path.parts[-2:])

    @property
    def path(self) -> Path:
        """The whole path, for messages."""
        return self.trusted.joinpath(*self.steps)

    def below(self, *names: str) -> "UntrustedDirectory":
        """Return a directory below this one."""
        return UntrustedDirectory(self.trusted, (*self.steps, *names))


@contextmanager
def open_directory(directory: UntrustedDirectory) -> Iterator[int]:
    """Yield a descriptor of the directory. Raises OSError."""
    folder = os.open(directory.trusted, DIRECTORY)
    try:
        for name in directory.steps:
            _require_name(name)
            folder = enter(folder, name)
        yield folder
    finally:
        os.close(folder)


def enter(folder: int, name: str) -> int:
    """Return the descriptor of a directory in another one, whose descriptor is closed. Follows no
    link. Raises OSError, and closes nothing then."""
    below = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    os.close(folder)
    return below


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
    """Open a regular file that an operator or client named; symbolic links are followed.

    Raises UnreadableFile, MissingFile.
    """
    with _translate_errors(path):
        return os.fdopen(_open_regular(str(path), path, None, 0, writable=False), "rb")


def list_names(directory: UntrustedDirectory, max_entries: int) -> dict[str, bool]:
    """Return the sorted names in the directory, each with whether it is a directory.

    Raises MissingFile, and UnreadableFile, also if there are more than ``max_entries`` names.
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
    """Read a whole file of the directory. Raises UnreadableFile, MissingFile."""
    with open_file(directory, path) as file:
        return _read_content(file, directory.path / path, max_bytes)


def read_named_file(path: Path, max_bytes: int) -> bytes:
    """Read a whole file that an operator or client named. Raises UnreadableFile, MissingFile."""
    with open_named_file(path) as file:
        return _read_content(file, path, max_bytes)


def read_json(
    directory: UntrustedDirectory, path: str, max_bytes: int, max_values: int = MAX_VALUES
) -> dict[str, Any]:
    """Read the JSON object in a file of the directory. Raises UnreadableFile, MissingFile."""
    return _parse_object(read_file(directory, path, max_bytes), directory.path / path, max_values)


def read_named_json(path: Path, max_bytes: int) -> dict[str, Any]:
    """Read the JSON object in a file that an operator or client named.

    Raises UnreadableFile, MissingFile.
    """
    return _parse_object(read_named_file(path, max_bytes), path)


def _parse_object(text: bytes, path: Path, max_values: int = MAX_VALUES) -> dict[str, Any]:
    try:
        return parse_object(text, max_values)
    except InvalidJson as error:
        raise UnreadableFile(f"{path}: {error}") from None


def _read_content(file: BinaryIO, path: Path, max_bytes: int) -> bytes:
    with _translate_errors(path):
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(f"{path}: it has more than {max_bytes} bytes, and is not read")
    return content


def _open_regular(name: str, path: Path, folder: int | None, no_follow: int, writable: bool) -> int:
    # Checked before opening, since opening a device may have side effects, and after, in case the
    # file was replaced in between.
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
        kinds = (what for is_kind, what in FILE_KINDS if is_kind(state.st_mode))
        raise UnreadableFile(f"{path}: it {next(kinds, 'is a special file')}, not a regular file")


def _require_name(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise FileNotFoundError(errno.ENOENT, "not a valid file name", name)


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = MissingFile if error.errno in MISSING else UnreadableFile
        raise kind(f"{path}: {_describe_error(error)}") from error
    except ValueError as error:
        raise UnreadableFile(f"{str(path)!r}: {error}") from None


def _describe_error(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a part of its path is a symbolic link, or not a directory"
    return os.strerror(error.errno) if error.errno else str(error)
