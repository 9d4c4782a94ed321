"""Runs lmms-eval as ``python -m lmms_eval`` does, after a few repairs: see the files beside this.

Started by its path, in the interpreter of the harness, where nothing of evalserver is installed.
"""

import os
import runpy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Optional

import harness_files  # type: ignore[import-not-found]
import lmms_eval_cache  # type: ignore[import-not-found]
import lmms_eval_clusters  # type: ignore[import-not-found]
import lmms_eval_exact  # type: ignore[import-not-found]
import task_files  # type: ignore[import-not-found]

CACHE_FLAG = "--use_cache="
CONFIG_FLAG = "--config="
TASKS_FLAG = "--tasks="

DOES_NOT_FIT = (ImportError, AttributeError)
"""A repair raises one of these in a version of lmms-eval that is built in another way."""


def main() -> None:
    """Repair lmms-eval, then become it."""
    # As with -m: modules of the working directory come first, not those of this folder.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    error = _repair("exact arguments", lmms_eval_exact.teach_parser)
    if _has_encoded_values():
        if error is not None:
            raise error
        _repair("names of models", lmms_eval_exact.name_models)
    harness_files.save_always("lmms_eval")
    lmms_eval_clusters.name_clusters("lmms_eval")
    if any(flag.startswith(TASKS_FLAG) and "/" in flag for flag in sys.argv):
        _repair("tasks by the path of their file", partial(task_files.make_known, "lmms_eval"))
    for flag in [each for each in sys.argv if each.startswith(CACHE_FLAG)]:
        keep_answers = partial(lmms_eval_cache.keep_answers, flag.removeprefix(CACHE_FLAG))
        if _repair("a response cache", keep_answers) is not None:
            sys.argv.remove(flag)
    runpy.run_module("lmms_eval", run_name="__main__", alter_sys=True)


def _repair(what: str, repair: Callable[[], None]) -> Optional[Exception]:  # noqa: UP045 - any Python
    """Apply a repair. Where it does not fit this version, say so in the log and return why."""
    try:
        repair()
    except DOES_NOT_FIT as error:
        print(f"evalserver: going on without {what}: {error}", file=sys.stderr)
        return error
    return None


def _has_encoded_values() -> bool:
    """Whether the configuration file has values that only the repaired parser can read."""
    paths = [each.removeprefix(CONFIG_FLAG) for each in sys.argv if each.startswith(CONFIG_FLAG)]
    texts = (Path(path).read_text(encoding="utf-8") for path in paths)
    return any(lmms_eval_exact.PREFIX in text for text in texts)


if __name__ == "__main__":
    main()
