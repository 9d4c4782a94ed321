"""Lists the files below an untrusted directory at a bounded cost.

Files may be added or removed during the listing, links may point anywhere, and there may be
millions of files.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

MAX_FILES = 10_000
MAX_ENTRIES = 50_000
"""Entries of any kind that are examined."""
MAX_SECONDS = 5.0

OWN_PREFIX = ".evalserver-"
"""How the names of files and directories begin that evalserver makes beside those of others."""


@dataclass(frozen=True)
class Listing:
    """The files of a directory by relative path, in the order of their paths.

    ``incomplete`` says why there may be more files, as the end of a sentence.
    """

    files: tuple[tuple[str, os.stat_result], ...]
    incomplete: str | None = None


class _ListingIncomplete(Exception):
    """The listing was stopped before its end; says why."""


def list_files(path: Path) -> Listing:
    """List every regular file below a directory; for a file, the file itself.

    Links to files are followed, links to directories are not. Files that are removed meanwhile are
    left out, and so is what evalserver itself has put there (``OWN_PREFIX``).
    """
    files: list[tuple[str, os.stat_result]] = []
    try:
        for name, status in _walk(path):
            if len(files) == MAX_FILES:
                raise _ListingIncomplete(f"has too many files: {MAX_FILES} or more")
            files.append((name, status))
    except _ListingIncomplete as error:
        return Listing(tuple(files), str(error))
    return Listing(tuple(sorted(files, key=itemgetter(0))))


def directory_names(path: Path) -> list[str]:
    """Return the names in a directory, at most MAX_ENTRIES. Raises OSError."""
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) == MAX_ENTRIES:
                break
    return names


def list_statuses(places: Iterable[Path], most: int) -> Iterator[os.stat_result]:
    """Yield the status of files and directories, and of all below them, ``most`` at most.

    Links are not followed. What cannot be read is left out.
    """
    found = 0
    # An explicit queue: no recursion, and what is at the top comes first.
    pending = deque(os.fspath(place) for place in places)
    while pending and found < most:
        place = pending.popleft()
        with suppress(OSError):
            yield os.lstat(place)
            found += 1
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif found < most:
                        yield entry.stat(follow_symlinks=False)
                        found += 1


def _walk(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises an error if the path is too long
        yield path.name, path.stat()
        return
    deadline = time.monotonic() + MAX_SECONDS
    entry_count = 0
    # An explicit stack: no recursion, however deep the directories are nested.
    pending = [""]
    while pending:
        directory = pending.pop()
        for entry in _entries(path, directory):
            entry_count += 1
            if entry_count > MAX_ENTRIES:
                raise _ListingIncomplete(f"has too many entries: more than {MAX_ENTRIES}")
            if time.monotonic() > deadline:
                raise _ListingIncomplete(f"has too much to be listed in {MAX_SECONDS:g} s")
            if entry.name.startswith(OWN_PREFIX):
                continue
            name = f"{directory}{entry.name}"
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
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
