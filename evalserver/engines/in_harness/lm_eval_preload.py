"""Imports lm-eval for a warm parent, and remembers its index of tasks: see ``preload.py``."""

from typing import Any

import preload as shared  # type: ignore[import-not-found]

PACKAGE = "lm_eval"
DISTRIBUTION = "lm-eval"
MODULES = (
    "lm_eval.loggers.evaluation_tracker",
    "lm_eval._cli",
    "lm_eval.evaluator",
    "lm_eval.tasks",
    "lm_eval.models",
    "pytablewriter",
)

shared.look_in_working_directory()


def preload(include_path: str) -> None:
    """Import lm-eval, and index its tasks and those of a directory."""
    shared.import_all(MODULES)
    try:
        from lm_eval.tasks import TaskManager  # type: ignore[import-not-found]
        from lm_eval.tasks._index import TaskIndex  # type: ignore[import-not-found]

        build = TaskIndex.build
    except (ImportError, AttributeError):
        return
    if not shared.has_parameters(build, ("paths", "resolve_includes")):
        return

    def key(paths: Any, *, resolve_includes: Any = True) -> Any:
        return tuple(map(str, paths)), resolve_includes

    remembered = shared.Remembered(build, key)

    def build_once(paths: Any, *, resolve_includes: Any = True) -> Any:
        return remembered(list(paths), resolve_includes=resolve_includes)

    TaskIndex.build = staticmethod(build_once)
    TaskManager(include_path=include_path or None)
    remembered.is_learning = False
