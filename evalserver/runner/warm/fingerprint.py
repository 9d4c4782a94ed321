"""The state of every file that a warm parent has read or would find: the harness and its tasks, the
modules that were imported, the packages that are installed, and the interpreter.

What a harness imports later, it reads as it is then. So this has to notice a change of what was
read, and of which file the name of a module stands for.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

State = tuple[int, ...]
"""Size, times of modification and of change, and inode; empty if there is no file."""
Fingerprint = dict[str, State]

MAX_FILES = 100_000
SOURCES = (".py", ".so", ".yaml", ".yml", ".pth", ".toml", ".cfg")
"""The suffixes of files that count in trees where evaluations may write other ones."""
METADATA = (".dist-info", ".egg-info")
"""The suffixes of directories that describe an installed package."""
IGNORED_FOLDERS = ("__pycache__", "node_modules", ".git", ".hg", ".svn", ".ipynb_checkpoints")
NAME = "/"
"""Ends the path of what counts by its name alone."""
EXISTS: State = (0,)


class TooManyFiles(Exception):
    """There are more files than can be compared in a moment; says where."""


def tree(folder: str, suffixes: tuple[str, ...] = ()) -> Fingerprint:
    """Return the state of all files of a tree with one of the suffixes, and of hidden ones only if
    they are sources.

    Links are followed. Raises TooManyFiles.
    """
    found: Fingerprint = {}
    visited = set()
    pending = [folder]
    while pending:
        place = pending.pop()
        # Relative to an open directory, a file's state takes half of the time.
        with _open(place) as directory:
            if directory is None or _identity(directory) in visited:
                continue
            visited.add(_identity(directory))
            for name in os.listdir(directory):  # noqa: PTH208 - it is a descriptor
                if name in IGNORED_FOLDERS:
                    continue
                try:
                    status = os.stat(name, dir_fd=directory)
                except OSError:  # a link to nothing
                    continue
                if stat.S_ISDIR(status.st_mode):
                    pending.append(f"{place}/{name}")
                elif name.endswith(SOURCES if name.startswith(".") else suffixes or ""):
                    found[f"{place}/{name}"] = _state(status)
        if len(found) > MAX_FILES:
            raise TooManyFiles(f"{folder} has more than {MAX_FILES} files")
    return found


def names(folder: str) -> Fingerprint:
    """Return the names of the modules in a directory.

    A directory without ``__init__.py`` never comes before a module elsewhere.
    """
    return {
        f"{entry.path}{NAME}": EXISTS
        for entry in _entries(folder)
        if entry.name.endswith((".py", ".so")) or Path(entry.path, "__init__.py").exists()
    }


def installed(folder: str) -> Fingerprint:
    """Return the state of the packages that are installed in a directory: their names and metadata,
    and modules that are a single file."""
    found: Fingerprint = {}
    for entry in _entries(folder):
        if not entry.is_dir():
            found[entry.path] = _entry_state(entry)
            continue
        found[f"{entry.path}{NAME}"] = EXISTS
        if entry.name.endswith(METADATA):
            found.update((each.path, _entry_state(each)) for each in _entries(entry.path))
    return found


def listings(folders: Iterable[str]) -> Fingerprint:
    """Return the names of what is in directories, but not of what is hidden."""
    return {f"{entry.path}{NAME}": EXISTS for folder in folders for entry in _entries(folder)}


def existing(paths: Iterable[str]) -> Fingerprint:
    """Return which of these paths exist, whatever is there, following links."""
    return {f"{path}{NAME}": EXISTS if state_of(path) else () for path in paths}


def files(paths: Iterable[str]) -> Fingerprint:
    """Return the state of files, each by itself."""
    return {path: state_of(path) for path in paths}


def state_of(path: str) -> State:
    """Return the state of a file, following links; empty if there is none."""
    try:
        return _state(os.stat(path))  # noqa: PTH116 - for thousands of files
    except (OSError, ValueError):
        return ()


def imported_files() -> set[str]:
    """Return the files of all modules that were imported, and all files mapped into memory."""
    found = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    paths = {os.path.abspath(each) for each in found if isinstance(each, str)}  # noqa: PTH100
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
            _, slash, path = line.partition("/")
            if slash:
                paths.add(slash + path)
    return paths


def find_change(before: Fingerprint, after: Fingerprint) -> str | None:
    """Return a clause about a file that differs between two fingerprints; None without one."""
    if before == after:
        return None
    changed = (path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    path = min(changed)
    verb = "has changed" if before.get(path) and after.get(path) else "is new"
    return f"{path.rstrip(NAME)} {verb if after.get(path) else 'is gone'}"


@contextmanager
def _open(folder: str) -> Iterator[int | None]:
    """Open a directory; None if it cannot be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name not in IGNORED_FOLDERS:
                yield entry


def _entry_state(entry: os.DirEntry[str]) -> State:
    try:
        return _state(entry.stat())
    except OSError:  # a link to nothing
        return EXISTS


def _state(status: os.stat_result) -> State:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


Look = Callable[[], Fingerprint]
"""Returns the state of some files as it is now."""


def look_at(looks: Iterable[Look]) -> Fingerprint:
    """Return what all of them see."""
    found: Fingerprint = {}
    for look in looks:
        found.update(look())
    return found
