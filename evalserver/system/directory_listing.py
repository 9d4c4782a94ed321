"""Listing the files below a directory that somebody else fills, at a bounded cost.

Files may come and go meanwhile, links may lead anywhere, and there may be millions of them.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 10_000
MAX_ENTRIES = 50_000
"""Files, directories and all else that is looked at."""
MAX_SECONDS = 5.0


@dataclass(frozen=True)
class Listing:
    """Files by their paths in the directory; ``incomplete`` says why there may be more, as the end
    of a sentence."""

    files: tuple[tuple[str, os.stat_result], ...]
    incomplete: str | None = None


class _ListingIncomplete(Exception):
    """Not all files can be listed; says why."""


def list_files(path: Path) -> Listing:
    """Every regular file below a directory; of a file, itself.

    Links to files are followed, links to directories are not. What vanishes meanwhile is left out.
    """
    files: list[tuple[str, os.stat_result]] = []
    try:
        for name, status in _files(path):
            if len(files) == MAX_FILES:
                raise _ListingIncomplete(f"has too many files: {MAX_FILES} or more")
            files.append((name, status))
    except _ListingIncomplete as error:
        return Listing(tuple(files), str(error))
    return Listing(tuple(files))


def directory_names(path: Path) -> list[str]:
    """The names in a directory, MAX_ENTRIES at most. Raises OSError."""
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) == MAX_ENTRIES:
                break
    return names


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if os.path.isfile(path):  # noqa: PTH113 - a path may be too long for Path.is_file
        yield path.name, path.stat()
        return
    deadline = time.monotonic() + MAX_SECONDS
    entry_count = 0
    # A stack of our own: however deep directories are nested, nothing is called recursively.
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        for entry in _entries(path, directory):
            entry_count += 1
            if entry_count > MAX_ENTRIES:
                raise _ListingIncomplete(f"has too many entries: more than {MAX_ENTRIES}")
            if time.monotonic() > deadline:
                raise _ListingIncomplete(f"has too much to be listed in {MAX_SECONDS:g} s")
            name = f"{directory}{entry.name}"
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif entry.is_file():
                    yield name, entry.stat()
            except OSError:
                continue


def _entries(path: Path, directory: str) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(path / directory) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        where = path / directory
        raise _ListingIncomplete(f"cannot be listed: {where}: {error.strerror}") from error
