"""Has a checkpoint evaluated as lmms-engine's trainer does, in an environment with lmms-engine.

    python train_with_backend.py URL OUTPUT_DIRECTORY STEP

The trainer's module needs more than can be installed here, so its methods that speak with the
backend are taken out of its source.
"""

import ast
import importlib.util
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from loguru import logger

from evalserver.training import lmms_engine

METHODS = ("validation_step", "_check_eval_results")


def main(url: str, output: Path, step: int) -> None:
    """Submit ``checkpoint-STEP``, wait until everything is evaluated, and print what is logged."""
    lmms_engine.install(series="run1", poll_s=0.2)
    from lmms_engine.eval.backends import EvalServerBackend

    config = {"model": "dummy", "tasks": ["digits_vqa"], "limit": 4, "poll_interval": 0.2}
    config["model_args"] = {"response": "seven"}
    trainer = SimpleNamespace(
        eval_backend=EvalServerBackend(url=url, poll_interval=0.2, eval_config=config),
        ema=SimpleNamespace(is_enabled=lambda: False),
        tracking=SimpleNamespace(log=lambda metrics: print(json.dumps(metrics), flush=True)),
    )
    methods = real_methods()
    methods["validation_step"](trainer, str(output / f"checkpoint-{step}"), step)
    methods["_check_eval_results"](trainer, 0)
    methods["_check_eval_results"](trainer, 0, wait_until_complete=True)


def real_methods() -> dict[str, Any]:
    """Return methods of the trainer's class, as functions."""
    package = Path(importlib.util.find_spec("lmms_engine").origin).parent
    source = (package / "train" / "fsdp2" / "fsdp2_trainer.py").read_text()
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name in METHODS
    ]
    namespace: dict[str, Any] = {"os": __import__("os"), "time": time, "logger": logger}
    exec(compile(ast.Module(functions, []), "fsdp2_trainer.py", "exec"), namespace)  # noqa: S102
    return namespace


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
