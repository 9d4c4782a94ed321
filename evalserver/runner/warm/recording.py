"""What the imports of a harness read besides modules: the files that are opened, the directories
that are listed, and the paths that are looked for."""

from __future__ import annotations

import os
import shutil  # noqa: F401 - it asks at its import what os.stat is capable of
import sys
from functools import wraps
from typing import Any

from evalserver.runner.warm.fingerprint import Fingerprint, state_of

VOLATILE = ("/proc/", "/dev/", "/sys/")
"""Where files are no part of what was imported."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LISTINGS = ("os.listdir", "os.scandir")
MODULE_FINDER = "importlib"
"""In the path of what lists directories to find modules: those are known otherwise."""


class Recording:
    """Notes what is read in this process, until ``stop``.

    ``opened`` has the files with their state at that time, ``listed`` and ``looked_for`` have
    paths, links not followed.
    """

    def __init__(self) -> None:
        self.opened: Fingerprint = {}
        self.listed: set[str] = set()
        self.looked_for: set[str] = set()
        self._is_on = True
        self._stat = os.stat
        os.stat = self._wrapped_stat()
        sys.addaudithook(self._record)

    def stop(self) -> None:
        """Note nothing more."""
        self._is_on = False
        os.stat = self._stat

    def _wrapped_stat(self) -> Any:
        """Return what stands for ``os.stat``, which no audit hook hears of. It may be kept by
        modules."""

        @wraps(self._stat)
        def stat(path: Any, **options: Any) -> os.stat_result:
            if self._is_on and options.get("dir_fd") is None:
                self._note(self.looked_for, path)
            return self._stat(path, **options)

        return stat

    def _record(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            path, _, flags = arguments
            if not flags & WRITES:
                self._note_opened(path)
        elif event in LISTINGS and MODULE_FINDER not in sys._getframe(1).f_code.co_filename:
            self._note(self.listed, arguments[0] if arguments[0] is not None else ".")

    def _note_opened(self, path: Any) -> None:
        absolute = _absolute(path)
        if absolute and not absolute.endswith(".pyc") and absolute not in self.opened:
            self.opened[absolute] = state_of(absolute)

    def _note(self, paths: set[str], path: Any) -> None:
        absolute = _absolute(path)
        if absolute:
            paths.add(absolute)


def _absolute(path: Any) -> str:
    """Return a path without links being followed; empty if it is none, or volatile."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
    return "" if f"{absolute}/".startswith(VOLATILE) else absolute
