"""Listing and opening the files in the output directory of an attempt.

A harness writes them, possibly into a directory that a client named, so they are opened as
``system/untrusted_files.py`` opens untrusted files.
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

MAX_DEPTH = 64
"""Levels of nested directories that are listed."""

NOT_FOUND_ERRORS = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENXIO, errno.ENAMETOOLONG}
)
"""Errors for a file that does not exist, is not a regular file, or must not be read."""


class ArtifactNotFound(Exception):
    """The file or directory does not exist, or must not be read."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file: its path in the output directory (decoded by ``os.fsdecode``), its size in bytes,
    and the time of its last modification in seconds since the epoch."""

    path: str
    size: int
    modified: float


@dataclass(frozen=True)
class ArtifactList:
    """The files of an output directory, in no order; ``truncated`` if there are more."""

    artifacts: list[Artifact]
    truncated: bool


@dataclass
class _Scan:
    """The state of a listing: what was found, and how many more entries may be read."""

    artifacts: list[Artifact]
    directories: list[tuple[str, ...]]
    entries_left: int
    truncated: bool = False


def open_artifact(output_dir: Path, path: str) -> BinaryIO:
    """Open a file by its path in the output directory. Raises ArtifactNotFound."""
    with _translate_errors(path):
        return open_file(UntrustedDirectory.for_attempt(output_dir), path)


def open_artifact_for_masking(output_dir: Path, path: str) -> BinaryIO:
    """Open a file for reading and writing. Raises ArtifactNotFound, OSError."""
    with _translate_errors(path):
        return open_file(UntrustedDirectory.for_attempt(output_dir), path, writable=True)


def list_artifacts(output_dir: Path, max_entries: int) -> ArtifactList:
    """List the regular files below the output directory, reading at most ``max_entries`` entries.

    Raises ArtifactNotFound if the directory does not exist.
    """
    scan = _Scan([], [()], max_entries)
    with _translate_errors(str(output_dir)), open_output_directory(output_dir, ()):
        pass
    while scan.directories and scan.entries_left:
        _scan_directory(output_dir, scan.directories.pop(), scan)
    return ArtifactList(scan.artifacts, scan.truncated or bool(scan.directories))


def _scan_directory(output_dir: Path, names: tuple[str, ...], scan: _Scan) -> None:
    if len(names) > MAX_DEPTH:
        scan.truncated = True
        return
    try:
        with (
            open_output_directory(output_dir, names) as directory,
            os.scandir(directory) as entries,
        ):
            for entry in entries:
                if not scan.entries_left:
                    scan.truncated = True
                    return
                scan.entries_left -= 1
                _add_entry(entry, names, scan)
    except FileNotFoundError:
        pass  # it was removed in the meantime
    except OSError:
        scan.truncated = True


def _add_entry(entry: os.DirEntry[str], names: tuple[str, ...], scan: _Scan) -> None:
    path = (*names, entry.name)
    try:
        if entry.is_dir(follow_symlinks=False):
            scan.directories.append(path)
        elif entry.is_file(follow_symlinks=False):
            state = entry.stat(follow_symlinks=False)
            scan.artifacts.append(Artifact("/".join(path), state.st_size, state.st_mtime))
    except FileNotFoundError:
        pass  # it was removed in the meantime


def open_output_directory(output_dir: Path, names: tuple[str, ...]) -> AbstractContextManager[int]:
    """Open a directory below the output directory; the block gets its descriptor. Raises
    OSError."""
    return open_directory(UntrustedDirectory.for_attempt(output_dir).below(*names))


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    try:
        yield
    except UnreadableFile as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno not in NOT_FOUND_ERRORS:
            raise error.__cause__ from None
        raise ArtifactNotFound(path) from error
    except OSError as error:
        if error.errno in NOT_FOUND_ERRORS:
            raise ArtifactNotFound(path) from error
        raise
