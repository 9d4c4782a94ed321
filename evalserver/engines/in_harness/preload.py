"""What the programs that import a harness for a warm parent share (``*_preload.py``).

A warm parent (``runner/warm/``) loads one of them by its path, in the harness's interpreter. It has
the harness's import name as ``PACKAGE``, the name of its distribution as ``DISTRIBUTION``, and
``preload(include_path)``. What it imports is what every run of the harness imports.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any


def import_all(names: Iterable[str]) -> None:
    """Import these modules, but those that this version of the harness does not have."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"evalserver: not imported ahead: {name}: {error}")


class Remembered:
    """The results of a function by its arguments, each of which is given out once: it belongs to
    the caller then, who may change it. Later calls compute it again."""

    def __init__(self, function: Callable[..., Any], key: Callable[..., Any]) -> None:
        self._function = function
        self._key = key
        self._results: dict[Any, Any] = {}
        self.is_learning = True

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return what the function returns."""
        key = self._key(*args, **options)
        if not self.is_learning and key in self._results:
            return self._results.pop(key)
        result = self._function(*args, **options)
        if self.is_learning:
            self._results[key] = result
        return result


def has_parameters(function: Any, names: Iterable[str]) -> bool:
    """Return whether a function has exactly these parameters."""
    try:
        return list(inspect.signature(function).parameters) == list(names)
    except (TypeError, ValueError):
        return False


def look_in_working_directory() -> None:
    """Find modules as the launcher does: in the working directory first."""
    import sys

    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
