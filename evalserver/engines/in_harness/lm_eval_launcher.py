"""Runs lm-eval as ``python -m lm_eval run`` does, whichever command line its version has.

Started by its path, in the interpreter of the harness, where nothing of evalserver is installed.
Before 0.4.10, lm-eval has neither ``run`` nor ``--config``, and takes arguments of the model only
as one text. There the values of the file are put in place of that text. In every version, results
and samples are saved whatever is in them (``harness_files.py``).
"""

import importlib.util
import os
import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import harness_files  # type: ignore[import-not-found]
import task_files  # type: ignore[import-not-found]

NEW_COMMAND_LINE = "lm_eval._cli"
CONFIG_FLAG = "--config="
NAMES_OF_MODELS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""The arguments from which lm-eval takes the model's name, the most telling first."""


def main() -> None:
    """Become lm-eval."""
    # As with -m: modules of the working directory come first, not those of this folder.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    harness_files.save_always("lm_eval")
    if importlib.util.find_spec(NEW_COMMAND_LINE) is not None:
        runpy.run_module("lm_eval", run_name="__main__", alter_sys=True)
        return
    print(
        "evalserver: this lm-eval has no `run --config`: using its older command line", flush=True
    )
    _run_older(sys.argv[2:])


def _run_older(flags: list[str]) -> None:
    import yaml
    from lm_eval import __main__ as cli  # type: ignore[import-not-found]

    _accept_mappings()
    task_files.make_known("lm_eval")
    _log_any_path()
    paths = [flag.removeprefix(CONFIG_FLAG) for flag in flags if flag.startswith(CONFIG_FLAG)]
    sys.argv = [str(cli.__file__), *(flag for flag in flags if not flag.startswith(CONFIG_FLAG))]
    arguments = cli.parse_eval_args(cli.setup_parser())
    for path in paths:
        for name, value in yaml.safe_load(Path(path).read_text(encoding="utf-8")).items():
            if not hasattr(arguments, name):
                sys.exit(f"ValueError: this version of lm-eval has no {name}")
            setattr(arguments, name, value)
    cli.cli_evaluate(arguments)


def _accept_mappings() -> None:
    """Have lm-eval take a mapping wherever it would parse a text into one."""
    from lm_eval import __main__ as cli
    from lm_eval import evaluator, utils
    from lm_eval.loggers.evaluation_tracker import (  # type: ignore[import-not-found]
        GeneralConfigTracker as Tracker,
    )

    for module in (utils, evaluator, cli):
        if hasattr(module, "simple_parse_args_string"):
            module.simple_parse_args_string = _unless_mapping(module.simple_parse_args_string, dict)
    if hasattr(Tracker, "_get_model_name"):
        name_of = _unless_mapping(Tracker._get_model_name, _model_name)
        Tracker._get_model_name = staticmethod(name_of)


def _log_any_path() -> None:
    """Have lm-eval 0.4.9.2 log the path of a task that is not one of its own; it fails at that."""
    from lm_eval import tasks

    class AnyPath(type(Path())):  # type: ignore[misc]
        def relative_to(self, *other: Any, **options: Any) -> Any:
            try:
                return super().relative_to(*other, **options)
            except ValueError:
                return self

    if hasattr(tasks, "Path"):
        tasks.Path = AnyPath


def _unless_mapping(
    parse: Callable[[Any], Any], use: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Any], Any]:
    return lambda given: use(given) if isinstance(given, Mapping) else parse(given)


def _model_name(model_args: Mapping[str, Any]) -> str:
    return next((str(model_args[key]) for key in NAMES_OF_MODELS if key in model_args), "")


if __name__ == "__main__":
    main()
