"""What a harness depends on when it is imported: which directories and files, and what they were
like when they were read."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from evalserver.runner.warm import fingerprint
from evalserver.runner.warm.fingerprint import Fingerprint, Look

VOLATILE = ("/proc/", "/dev/", "/sys/")
"""Where files are no part of what was imported."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CLOCK_MARGIN_NS = 500_000_000
"""A file that changed so shortly before the imports may have changed during them."""


class ChangedMeanwhile(Exception):
    """A file changed while the harness was imported, so what was read is unknown; says which."""


class Dependencies:
    """Everything that a warm parent has read. Make it before the imports.

    ``package`` is the harness's import name; ``include_path`` a directory of task definitions, or
    empty. Raises ``fingerprint.TooManyFiles``.
    """

    def __init__(self, package: str, include_path: str) -> None:
        self._begun_ns = time.time_ns()
        self._looks = list(_looks(package, include_path))
        self._before = fingerprint.look_at(self._looks)
        self._opened: Fingerprint = {}
        self._is_recording = True
        self._fingerprint: Fingerprint = {}
        sys.addaudithook(self._record)

    def remember(self) -> int:
        """Take the fingerprint, after the imports; return the number of its files.

        Raises ChangedMeanwhile.
        """
        self._is_recording = False
        imported = fingerprint.imported_files()
        others = {*imported, *self._opened} - self._before.keys()
        self._looks.append(partial(fingerprint.files, sorted(others)))
        after = fingerprint.look_at(self._looks)
        change = fingerprint.find_change(
            {**self._before, **self._opened},
            {path: after[path] for path in after if path in self._before or path in self._opened},
        )
        recent = [path for path in imported if _changed_since(after.get(path, ()), self._begun_ns)]
        if change is None and recent:
            change = f"{min(recent)} has changed"
        if change is not None:
            raise ChangedMeanwhile(f"{change} while the harness was imported")
        self._fingerprint = after
        self._before = {}
        return len(after)

    def find_change(self) -> str | None:
        """Return a clause about a file that has changed since the imports; None without one."""
        return fingerprint.find_change(self._fingerprint, fingerprint.look_at(self._looks))

    def _record(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: notes the files that are opened for reading, as they are then."""
        if event != "open" or not self._is_recording:
            return
        path, _, flags = arguments
        if not isinstance(path, (str, bytes)) or flags & WRITES:
            return
        absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links are not followed
        if absolute.startswith(VOLATILE) or absolute.endswith(".pyc"):
            return
        if absolute not in self._opened:
            self._opened[absolute] = fingerprint.state_of(absolute)


def _changed_since(state: fingerprint.State, begun_ns: int) -> bool:
    # The third is the time of the last change, which cannot be set.
    return bool(state) and state[2] > begun_ns - CLOCK_MARGIN_NS


def _looks(package: str, include_path: str) -> Iterator[Look]:
    """Yield what looks at the files that are known before the imports."""
    whole = [*_package_folders(package), *filter(None, [include_path])]
    for folder in dict.fromkeys(map(os.path.realpath, whole)):
        yield partial(fingerprint.tree, folder)
    working_directory, *path = [os.path.abspath(each or ".") for each in sys.path]  # noqa: PTH100
    yield partial(fingerprint.names, working_directory)
    for folder in dict.fromkeys(path):
        yield partial(fingerprint.installed, folder)
    sources = {os.path.realpath(each) for each in (*_own_folders(path), *_editable_folders())}
    for folder in sorted(sources - {*map(os.path.realpath, whole)}):
        yield partial(fingerprint.tree, folder, fingerprint.SOURCES)
    interpreter = [sys.executable, os.path.realpath(sys.executable), f"{sys.prefix}/pyvenv.cfg"]
    yield partial(fingerprint.files, interpreter)


def _package_folders(package: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    return [] if spec is None else list(spec.submodule_search_locations or ())


def _own_folders(path: list[str]) -> Iterator[str]:
    """Yield the directories of ``sys.path`` that are neither Python's nor where packages are
    installed: those of PYTHONPATH, and of checkouts that a ``.pth`` file names."""
    pythons = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    for folder in path:
        real = os.path.realpath(folder)
        is_installed = Path(real).name in ("site-packages", "dist-packages")
        is_pythons = any(real == each or real.startswith(f"{each}/") for each in pythons)
        if not is_installed and not is_pythons and Path(real).is_dir():
            yield real


def _editable_folders() -> Iterator[str]:
    """Yield the directories of packages that are installed as editable."""
    for finder in sys.meta_path:
        # Of setuptools: a module of its own for each package.
        module = sys.modules.get(getattr(finder, "__module__", ""))
        for name in ("MAPPING", "NAMESPACES"):
            mapping = getattr(module, name, None)
            for places in mapping.values() if isinstance(mapping, dict) else ():
                yield from [places] if isinstance(places, str) else map(str, places)
    for distribution in metadata.distributions():
        text = distribution.read_text("direct_url.json")
        try:
            origin = json.loads(text) if text else {}
            is_editable = bool(origin.get("dir_info", {}).get("editable"))
        except (ValueError, AttributeError):
            continue
        if is_editable:
            yield unquote(urlsplit(origin.get("url", "")).path)
