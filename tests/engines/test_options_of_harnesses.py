"""Every option of each engine's table reaches the real harness, and with it every value.

The harness's own code reads the command line in its own interpreter, up to the point where the
evaluation would begin. So one run per harness shows it for all options.
"""

import json
import subprocess
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, EngineSettings, Paths, in_harness
from evalserver.engines.inspect_ai import InspectAi
from evalserver.engines.lm_eval import LmEval
from evalserver.engines.lmms_eval import LmmsEval
from tests.real_harness import interpreter, offline_environment

SCRIPTS = Path(__file__).parents[1] / "in_harnesses"
LAUNCHERS = Path(in_harness.__file__).parent
TASKS = Path(__file__).parents[1] / "inspect_tasks"

DIFFICULT_TEXT = 'Be brief: "a, b", {c=[d]}\n\n- 007\ttrue \u2028 é'


def receive(script: str, engine: Engine, place: Path, skipped: int, **fields: Any) -> Any:
    """Return what the harness received of a request; ``skipped`` arguments start it."""
    request = EvaluateRequest(**{"model": "dummy", "tasks": ("capitals",), **fields})
    assert engine.find_faults(request) == {}
    command = engine.command(request, Paths(place, place / "output", place / "cache"))
    for name, text in command.files.items():
        (place / name).write_text(text)
    launcher = [] if script.startswith("lm_eval") else [str(LAUNCHERS)]
    ran = subprocess.run(
        [engine.python, str(SCRIPTS / script), *launcher, *command.argv[skipped:]],
        env=offline_environment(place),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def engine_of(kind: type[Engine], harness: str) -> Engine:
    """Return an engine that allows every option."""
    risky = tuple(name for name, option in kind.options.items() if option.risk)
    return kind(
        EngineSettings("engine", "engine", str(interpreter(harness)), str(TASKS), allow=risky)
    )


def examples(engine: Engine, *without: str) -> dict[str, Any]:
    """Return an example of every option."""
    return {name: option.example for name, option in engine.options.items() if name not in without}


@pytest.mark.real_harness("lm-eval")
def test_every_option_reaches_lm_eval(tmp_path: Path) -> None:
    engine = engine_of(LmEval, "lm-eval")
    sent = {**examples(engine), "system_instruction": DIFFICULT_TEXT}

    got = receive(
        "lm_eval_receives.py", engine, tmp_path, 2, harness_args=sent, seed=[0, None, 8, 52]
    )

    assert {option.flag for option in engine.options.values()} <= set(got["flags"])
    caching = {
        "cache_requests": True,
        "rewrite_requests_cache": True,
        "delete_requests_cache": False,
    }
    expected = {**sent, "cache_requests": caching, "seed": [0, None, 8, 52]}
    assert {name: got["values"][name] for name in expected} == expected


@pytest.mark.real_harness("lmms-eval")
def test_every_option_reaches_lmms_eval(tmp_path: Path) -> None:
    engine = engine_of(LmmsEval, "lmms-eval")
    sent = {**examples(engine), "system_instruction": DIFFICULT_TEXT}

    got = receive(
        "lmms_eval_receives.py",
        engine,
        tmp_path,
        2,
        harness_args=sent,
        num_fewshot=2,
        seed=[0, None, 8],
    )

    assert {option.flag for option in engine.options.values()} <= set(got["flags"])
    values = got["values"]
    assert {name: values[name] for name in sent} == sent
    assert (values["num_fewshot"], values["seed"]) == (2, [0, None, 8, 1234])


@pytest.mark.real_harness("inspect")
def test_every_option_reaches_inspect(tmp_path: Path) -> None:
    engine = engine_of(InspectAi, "inspect")
    sent = {**examples(engine, "solver_file"), "metadata": {"note": DIFFICULT_TEXT}}

    got = receive(
        "inspect_receives.py",
        engine,
        tmp_path,
        2,
        model="mockllm/model",
        harness_args=sent,
        seed=-7,
    )

    flags = {option.flag for option in engine.options.values()}
    # Inspect has this one with all of its commands.
    assert flags - {"--log-level"} <= set(got["flags"])
    assert got["unknown"] == []
    same = {name: sent[name] for name in sent if name not in AS_CLASSES}
    assert {name: got["values"][name] for name in same} == same
    assert {name: got["values"][name] for name in AS_CLASSES.values() if name} == {
        "epochs": {"epochs": 3, "reducer": ["mean", "at_least_2"]},
        "solver": {
            "solver": "chain_of_thought",
            "args": sent["solver_args"],
            "args_passed": sent["solver_args"],
        },
        "model_roles": {"grader": {"model": "mockllm/model", "config": {"temperature": 0.0}}},
        "model_cost_config": sent["model_cost_config"],
    }
    assert got["values"]["seed"] == -7


AS_CLASSES = MappingProxyType(
    {
        "epochs": "epochs",
        "epochs_reducer": None,
        "solver": "solver",
        "solver_args": None,
        "model_roles": "model_roles",
        "model_cost_config": "model_cost_config",
    }
)
"""Options for which Inspect has classes, and the argument that each becomes."""


@pytest.mark.real_harness("inspect")
def test_a_solver_in_a_file_reaches_inspect(tmp_path: Path) -> None:
    engine = engine_of(InspectAi, "inspect")
    options = {"solver_file": "/lab/agents.py@careful"}

    got = receive(
        "inspect_receives.py", engine, tmp_path, 2, model="mockllm/model", harness_args=options
    )

    assert got["values"]["solver"]["solver"] == "/lab/agents.py@careful"
