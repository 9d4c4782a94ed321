"""Imports lmms-eval for a warm parent, and remembers its index of tasks: see ``preload.py``."""

from typing import Any

import preload as shared  # type: ignore[import-not-found]

PACKAGE = "lmms_eval"
DISTRIBUTION = "lmms-eval"
MODULES = (
    "lmms_eval.utils",
    "lmms_eval.loggers.evaluation_tracker",
    "lmms_eval.cli.dispatch",
    "lmms_eval.__main__",
    "lmms_eval.evaluator",
    "lmms_eval.models.model_utils.gen_metrics",
    # At the end of a run: for error bars, and for the table of results.
    "nltk",
    "pytablewriter",
)

shared.look_in_working_directory()


def preload(include_path: str) -> None:
    """Import lmms-eval, and index its tasks and those of a directory."""
    shared.import_all(MODULES)
    try:
        from lmms_eval.tasks import TaskManager  # type: ignore[import-not-found]

        find = TaskManager._get_task_and_group
    except (ImportError, AttributeError):
        return
    if not shared.has_parameters(find, ("self", "task_dir")):
        return
    remembered = shared.Remembered(find, lambda _manager, task_dir: task_dir)

    def _get_task_and_group(self: Any, task_dir: str) -> Any:
        return remembered(self, task_dir)

    TaskManager._get_task_and_group = _get_task_and_group
    TaskManager(include_path=include_path or None)
    remembered.is_learning = False
