"""Where a harness is, its version, and the state of its files, also without package metadata.

Imported by the scripts beside it, in the interpreter of the harness. It imports no harness.
"""

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote, urlsplit

DEFINITION_SUFFIXES = (".py", ".yaml", ".yml")
"""Files that say which tasks and models there are."""
MAX_FILES = 100_000
MAX_FILE_BYTES = 1024 * 1024
"""Of larger files, which are data, only the size is part of a fingerprint."""
MAX_SECONDS = 10.0
GIT_SECONDS = 20

VERSION_FILES = ("__init__.py", "version.py", "_version.py")
VERSION = re.compile(r"^__version__\b[^=\n]*=\s*[\"']([^\"'\s]+)[\"']", re.MULTILINE)
PROJECT_VERSION = re.compile(
    r"^\[project\]\n(?:[^\[\n].*\n|\n)*?version\s*=\s*[\"']([^\"'\s]+)[\"']", re.MULTILINE
)


@dataclass(frozen=True)
class Installation:
    """A harness as an interpreter finds it.

    ``is_installed``: its files were installed with the package's metadata. Otherwise it is
    installed editable, or on ``PYTHONPATH``, and its files may change without a new version.
    ``source`` is the directory that may be a git checkout.
    """

    place: Path
    version: Optional[str]  # noqa: UP045 - any Python
    is_installed: bool
    source: Path


def find_installation(package: str, module: str) -> Optional[Installation]:  # noqa: UP045
    """Find a harness by its package's name and its import name; None if there is none."""
    place = _find_module(module)
    if place is None:
        return None
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return Installation(place, _version_in(place), is_installed=False, source=place)
    if _same(Path(str(found.locate_file(""))) / module, place):
        # A build leaves its metadata beside the sources, under another name.
        is_installed = found.read_text("METADATA") is not None
        return Installation(place, found.version, is_installed=is_installed, source=place)
    editable = _editable_place(found)
    if editable is not None and editable.resolve() in place.resolve().parents:
        return Installation(place, found.version, is_installed=False, source=editable)
    # Another directory on the path hides the files that the metadata is about.
    return Installation(place, _version_in(place), is_installed=False, source=place)


def find_commit(package: str, installation: Installation) -> Optional[str]:  # noqa: UP045
    """The git commit that a harness was installed from, or is checked out at; None if there is
    none. It ends in ``-dirty`` if files have changed since."""
    if not installation.is_installed:
        return _checked_out(installation.source)
    origin = _origin(metadata.distribution(package))
    commit = origin.get("vcs_info", {}).get("commit_id")
    return None if commit is None else str(commit)


def fingerprint(place: Path) -> str:
    """A hash of the names and contents of all files; of their sizes and times when reading them
    takes more than ``MAX_SECONDS``, which begins with ``stat-`` then."""
    deadline = time.monotonic() + MAX_SECONDS
    digest = hashlib.sha256()
    for name, status in _files(place):
        digest.update(f"{name}\0{status.st_size}\0".encode(errors="replace"))
        if time.monotonic() > deadline:
            return f"stat-{stat_digest(place)}"
        if status.st_size <= MAX_FILE_BYTES:
            try:
                digest.update((place / name).read_bytes() if name else place.read_bytes())
            except OSError:
                digest.update(b"unreadable")
    return digest.hexdigest()


def stat_digest(place: Path) -> str:
    """A hash of the names, sizes and modification times of the files that define tasks and
    models."""
    digest = hashlib.sha256()
    for name, status in _files(place):
        if (name or place.name).endswith(DEFINITION_SUFFIXES):
            line = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0"
            digest.update(line.encode(errors="replace"))
    return digest.hexdigest()


def _files(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The relative names of all files but caches, sorted, at most ``MAX_FILES``."""
    if place.is_file():
        yield "", place.stat()
        return
    found: list[tuple[str, os.stat_result]] = []
    pending = [""]
    while pending and len(found) < MAX_FILES:
        folder = pending.pop()
        try:
            with os.scandir(place / folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name == "__pycache__":
                        continue
                    name = f"{folder}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{name}/")
                    elif entry.is_file():
                        found.append((name, entry.stat()))
        except OSError:
            continue
    yield from sorted(found, key=lambda each: each[0])


def _find_module(module: str) -> Optional[Path]:  # noqa: UP045 - any Python
    """The directory of a module that is a package, the file of another one."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if folders:
        return Path(folders[0])
    return Path(spec.origin) if spec.has_location and spec.origin else None


def _version_in(place: Path) -> Optional[str]:  # noqa: UP045 - any Python
    """The version that the files of a harness say; None if they do not."""
    for name in VERSION_FILES if place.is_dir() else ("",):
        found = VERSION.search(_read(place / name))
        if found:
            return found[1]
    folders = (place.parent, place.parent.parent)  # the module is in the project, or in its src
    for folder in folders:
        found = PROJECT_VERSION.search(_read(folder / "pyproject.toml"))
        if found:
            return found[1]
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _editable_place(found: metadata.Distribution) -> Optional[Path]:  # noqa: UP045 - any Python
    origin = _origin(found)
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file" or not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(url.path))


def _origin(found: metadata.Distribution) -> dict[str, Any]:
    text = found.read_text("direct_url.json")
    origin: dict[str, Any] = json.loads(text) if text else {}
    return origin


def _checked_out(place: Path) -> Optional[str]:  # noqa: UP045 - any Python
    folder = place if place.is_dir() else place.parent
    # A directory that only lies within some repository is no part of its commits.
    if not run("git", "-C", str(folder), "ls-files", "--", "."):
        return None
    head = run("git", "-C", str(folder), "rev-parse", "HEAD")
    if not head:
        return None
    changed = run("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return f"{head.strip()}{'-dirty' if changed else ''}"


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def run(*command: str) -> Optional[str]:  # noqa: UP045 - any Python
    """What a program prints; None if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - programs of the machine, with fixed arguments
            command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
