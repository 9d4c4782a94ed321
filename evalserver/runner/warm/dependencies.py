"""What a harness depends on when it is imported: which directories and files, and what they were
like when they were read."""

from __future__ import annotations

import importlib.util
import json
import os
import site
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from evalserver.runner.warm import fingerprint
from evalserver.runner.warm.fingerprint import Fingerprint, Look
from evalserver.runner.warm.recording import Recording

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
        whole = _different([*_package_folders(package), *filter(None, [include_path])])
        self._real = {os.path.realpath(folder): folder for folder in whole}
        self._looks = list(_looks(whole))
        self._before = fingerprint.look_at(self._looks)
        self._recording = Recording()
        self._fingerprint: Fingerprint = {}

    def remember(self) -> int:
        """Take the fingerprint, after the imports; return the number of its files.

        Raises ChangedMeanwhile.
        """
        self._recording.stop()
        imported = fingerprint.imported_files()
        opened = {self._name(path): state for path, state in self._recording.opened.items()}
        self._looks.extend(self._looks_at_what_was_read({*imported, *opened}))
        after = fingerprint.look_at(self._looks)
        change = fingerprint.find_change(
            {**self._before, **opened},
            {path: after[path] for path in after if path in self._before or path in opened},
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

    def _looks_at_what_was_read(self, paths: set[str]) -> Iterator[Look]:
        """Yield what looks at files, and at what else was read, unless that is known already."""
        yield partial(fingerprint.files, sorted(paths - self._before.keys()))
        folders = {os.path.dirname(path) for path in self._before}  # noqa: PTH120 - thousands
        listed = {*map(self._name, self._recording.listed)} - folders
        listed = {each for each in listed if Path(each).name not in fingerprint.IGNORED_FOLDERS}
        yield partial(fingerprint.listings, sorted(listed))
        looked_for = {*map(self._name, self._recording.looked_for)} - self._before.keys()
        missing = (path for path in looked_for if not fingerprint.state_of(path))
        yield partial(fingerprint.existing, sorted(missing))

    def _name(self, path: str) -> str:
        """Return the name under which a file of a whole tree is known, if it is in one."""
        for real, folder in self._real.items():
            if path.startswith(f"{real}/"):
                return folder + path[len(real) :]
        return path


def _changed_since(state: fingerprint.State, begun_ns: int) -> bool:
    # The third is the time of the last change, which cannot be set.
    return bool(state) and state[2] > begun_ns - CLOCK_MARGIN_NS


def _looks(whole: list[str]) -> Iterator[Look]:
    """Yield what looks at the files that are known before the imports: all of the whole trees, and
    those that decide which modules are found."""
    # By the names that they were given: one may be a link that is changed.
    for folder in whole:
        yield partial(fingerprint.tree, folder)
    working_directory, *path = [os.path.abspath(each or ".") for each in sys.path]  # noqa: PTH100
    yield partial(fingerprint.names, working_directory)
    places = dict.fromkeys([*path, *_site_folders()])
    for folder in places:
        yield partial(fingerprint.installed, folder)
    yield partial(fingerprint.existing, [*places, *_named_by_pth_files(places)])
    sources = _different([*whole, *_own_folders(path), *_editable_folders()])
    for folder in sources[len(whole) :]:
        yield partial(fingerprint.tree, folder, fingerprint.SOURCES)
    interpreter = [sys.executable, os.path.realpath(sys.executable), f"{sys.prefix}/pyvenv.cfg"]
    yield partial(fingerprint.files, interpreter)


def _different(folders: Iterable[str]) -> list[str]:
    """Return the folders without those that are, by links, the same as an earlier one."""
    found: dict[str, str] = {}
    for folder in folders:
        found.setdefault(os.path.realpath(folder), folder)
    return list(found.values())


def _site_folders() -> list[str]:
    """Return where packages may be installed: an interpreter looks there once that exists."""
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*site.getsitepackages(), *own]


def _named_by_pth_files(folders: Iterable[str]) -> Iterator[str]:
    """Yield the paths that ``.pth`` files name: an interpreter looks there once they exist."""
    for folder in folders:
        for file in sorted(Path(folder).glob("*.pth")):
            with suppress(OSError, UnicodeDecodeError):
                for line in file.read_text(encoding="utf-8").splitlines():
                    if line.strip() and not line.startswith(("#", "import ", "import\t")):
                        yield os.path.join(folder, line.strip())  # noqa: PTH118


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
