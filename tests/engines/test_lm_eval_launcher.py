"""The launcher of lm-eval, with packages that have the shapes of its versions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalserver.engines.lm_eval import LmEval

CONFIG = {
    "model_args": {"pretrained": "a,b=[1]", "rate": 1e-5, "deep": {"list": [1, None]}},
    "gen_kwargs": {"until": ["a,b", "\n"]},
}
FLAGS = ("--model=dummy", "--tasks=a,b", "--log_samples")

NEW = {
    "__init__.py": "",
    "_cli/__init__.py": "",
    "__main__.py": """
        import json, sys
        print(json.dumps(sys.argv[1:]))
    """,
}
OLDER = {
    "__init__.py": "from .evaluator import simple_evaluate",
    "utils.py": """
        def simple_parse_args_string(text):
            return dict(each.split("=") for each in text.split(","))
        def load_yaml_config(path, mode):
            return {"task": "of_the_file"}
    """,
    "tasks.py": """
        from pathlib import Path
        class TaskManager:
            def __init__(self):
                self._task_index = {"a": {"type": "task"}}
            def match_tasks(self, task_list):
                # As 0.4.9.2 does for its log, whatever the task.
                Path("/lab/task.yaml").relative_to(Path(__file__).parent)
                return [each for each in task_list if each in self._task_index]
    """,
    "evaluator.py": """
        import json
        from lm_eval.loggers.evaluation_tracker import GeneralConfigTracker
        from lm_eval.utils import simple_parse_args_string
        def simple_evaluate(args):
            told = {**vars(args), "gen_kwargs": simple_parse_args_string(args.gen_kwargs)}
            told["name"] = GeneralConfigTracker._get_model_name(args.model_args)
            print(json.dumps(told))
    """,
    "loggers/__init__.py": "",
    "loggers/evaluation_tracker.py": """
        class GeneralConfigTracker:
            @staticmethod
            def _get_model_name(model_args):
                return model_args.split("pretrained=")[1]
    """,
    "__main__.py": """
        import argparse
        from lm_eval import evaluator
        from lm_eval.tasks import TaskManager
        def setup_parser():
            parser = argparse.ArgumentParser()
            for name in ("model", "tasks", "model_args", "gen_kwargs"):
                parser.add_argument(f"--{name}", default="")
            parser.add_argument("--log_samples", action="store_true")
            return parser
        def parse_eval_args(parser):
            return parser.parse_args()
        def cli_evaluate(args=None):
            args.found = TaskManager().match_tasks(args.tasks.split(","))
            evaluator.simple_evaluate(args)
    """,
}
"""As before 0.4.10: no ``run``, no ``--config``, texts for arguments."""


def test_a_version_with_run_gets_the_command_line_as_it_is(tmp_path: Path) -> None:
    argv = ["run", "--config=/run/config.yaml", *FLAGS]

    assert _launched(tmp_path, NEW, *argv) == argv


def test_an_older_version_gets_every_value_with_its_type(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))

    read = _launched(tmp_path, OLDER, "run", f"--config={config}", *FLAGS)

    expected = {"model": "dummy", "log_samples": True, "name": "a,b=[1]", **CONFIG}
    assert {name: read[name] for name in expected} == expected


def test_an_older_version_finds_the_task_in_a_file(tmp_path: Path) -> None:
    texts = ("--model_args=pretrained=m", "--gen_kwargs=temperature=0")

    read = _launched(tmp_path, OLDER, "run", "--tasks=a,/lab/task.yaml", *texts)

    assert read["found"] == ["a", "of_the_file"]


def test_an_older_version_without_mappings_reads_its_own_texts(tmp_path: Path) -> None:
    texts = ("--model_args=pretrained=m", "--gen_kwargs=temperature=0")

    read = _launched(tmp_path, OLDER, "run", *texts)

    assert (read["name"], read["gen_kwargs"]) == ("m", {"temperature": "0"})


def test_an_older_version_refuses_a_field_that_it_does_not_have(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"metadata": {"a": 1}}))

    with pytest.raises(subprocess.CalledProcessError) as raised:
        _launched(tmp_path, OLDER, "run", f"--config={config}")

    assert "this version of lm-eval has no metadata" in raised.value.stderr


def _launched(place: Path, package: dict[str, str], *argv: str) -> Any:
    """What a version of lm-eval with these modules was told."""
    for name, text in package.items():
        path = place / "lm_eval" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_dedented(text))
    done = subprocess.run(
        [sys.executable, *LmEval.program[:1], *argv],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix(" " * 8) for line in text.splitlines())
