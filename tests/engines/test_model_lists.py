"""Asking a harness for its models, with packages that have the shapes of its versions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalserver.engines import Question
from evalserver.engines.engine import Engine
from evalserver.engines.lm_eval import LmEval
from evalserver.engines.lmms_eval import LmmsEval
from tests.engines.commands import settings

LM_EVAL = {"lm_eval/__init__.py": "", "lm_eval/models.py": "", "lm_eval/api/__init__.py": ""}
LMMS_EVAL = {"lmms_eval/__init__.py": ""}
SHAPES = {
    "lm-eval": (LmEval, {**LM_EVAL, "lm_eval/api/registry.py": "model_registry = {'hf': 1}"}),
    "lm-eval before 0.4.10": (
        LmEval,
        {**LM_EVAL, "lm_eval/api/registry.py": "MODEL_REGISTRY = {'hf': 1}"},
    ),
    "lmms-eval": (
        LmmsEval,
        {
            **LMMS_EVAL,
            "lmms_eval/models.py": "def list_available_models(include_aliases): return ['hf']",
        },
    ),
    "lmms-eval before 0.6": (
        LmmsEval,
        {**LMMS_EVAL, "lmms_eval/models.py": "AVAILABLE_MODELS = {'hf': 1}"},
    ),
}


@pytest.mark.parametrize(("engine_type", "modules"), SHAPES.values(), ids=SHAPES.keys())
def test_every_version_lists_its_models(
    tmp_path: Path, engine_type: type[Engine], modules: dict[str, str]
) -> None:
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    engine = engine_type(settings(sys.executable))

    printed = subprocess.run(
        engine.question_argv(Question.MODELS),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert engine.parse_answer(printed) == ["hf"]
