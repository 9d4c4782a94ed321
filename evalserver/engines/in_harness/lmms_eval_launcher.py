"""Runs lmms-eval as ``python -m lmms_eval`` does, after a few repairs: see the files beside this.

Started by its path, in the interpreter of the harness, where nothing of evalserver is installed.
"""

import os
import runpy
import sys

import lmms_eval_cache  # type: ignore[import-not-found]
import lmms_eval_exact  # type: ignore[import-not-found]
import lmms_eval_task_files  # type: ignore[import-not-found]

CACHE_FLAG = "--use_cache="
TASKS_FLAG = "--tasks="


def main() -> None:
    """Repair lmms-eval, then become it."""
    # As with -m: modules of the working directory come first, not those of this folder.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    lmms_eval_exact.teach_parser()
    if any(flag.startswith(TASKS_FLAG) and "/" in flag for flag in sys.argv):
        lmms_eval_task_files.make_known()
    for flag in [each for each in sys.argv if each.startswith(CACHE_FLAG)]:
        try:
            lmms_eval_cache.keep_answers(flag.removeprefix(CACHE_FLAG))
        except lmms_eval_cache.AnotherCache as error:
            print(f"evalserver: going on without a response cache: {error}", file=sys.stderr)
            sys.argv.remove(flag)
    runpy.run_module("lmms_eval", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
