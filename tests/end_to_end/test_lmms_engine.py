"""The real lmms-engine: its merger on a real FSDP2 checkpoint, and its training callback.

The callback's module is loaded on its own: it needs nothing else from lmms-engine. It logs with
loguru, which this environment lacks, and imports its client from lmms-eval; both are replaced, the
client by ours.
"""

import asyncio
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evalserver import EvalClient
from tests.end_to_end.conftest import RealServer
from tests.real_harness import interpreter
from tests.support import WAIT_SECONDS, Json, ServerProcess, results_file, until

pytestmark = [pytest.mark.real_harness("lmms-engine"), pytest.mark.real_harness("lmms-eval")]

SCRIPTS = Path(__file__).parents[1] / "in_lmms_engine"
SAME = {"tensors": 27, "only_in_one": [], "different": []}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a sharded checkpoint, and the model it was saved from."""
    place = tmp_path_factory.mktemp("trained")
    run_in_lmms_engine("shard_a_model.py", place / "checkpoint-100")
    return place


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    """A sharded checkpoint for one test."""
    copy = tmp_path / "checkpoints" / "checkpoint-100"
    shutil.copytree(trained / "checkpoint-100", copy)
    return copy


@pytest.fixture
def lab(tmp_path: Path, digit_tasks: Path, real_server: RealServer) -> ServerProcess:
    """A server with the real lmms-eval, and the real lmms-engine in its own environment."""
    config = tmp_path / "evalserver.toml"
    config.write_text(f'[engines.merge]\npython = "{interpreter("lmms-engine")}"\n')
    options = ("--config", str(config), "--allow-path", str(tmp_path))
    return real_server("lmms-eval", digit_tasks, *options)


def run_in_lmms_engine(script: str, *arguments: object) -> str:
    """Run one of our scripts in the environment of lmms-engine; return its output."""
    done = subprocess.run(
        [str(interpreter("lmms-engine")), str(SCRIPTS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``lmms_engine.eval.backends`` from the published wheel, with our client."""
    loguru, entrypoints = ModuleType("loguru"), ModuleType("lmms_eval.entrypoints")
    loguru.logger = logging.getLogger("lmms_engine")  # type: ignore[attr-defined]
    entrypoints.EvalClient = EvalClient  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "loguru", loguru)
    monkeypatch.setitem(sys.modules, "lmms_eval", ModuleType("lmms_eval"))
    monkeypatch.setitem(sys.modules, "lmms_eval.entrypoints", entrypoints)
    [path] = (
        interpreter("lmms-engine")
        .parents[1]
        .glob("lib/python3*/site-packages/lmms_engine/eval/backends.py")
    )
    spec = importlib.util.spec_from_file_location("lmms_engine_backends", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_merged_weights_equal_the_originals(
    lab: ServerProcess, trained: Path, checkpoint: Path
) -> None:
    async with lab as server:
        body = {"checkpoint_path": str(checkpoint)}
        answer = await server.api.call("POST", "/merge", json=body)

    assert answer["merged_path"] == str(checkpoint)
    assert compared(checkpoint, trained / "whole") == SAME


async def test_a_failure_quotes_lmms_engines_own_error(
    lab: ServerProcess, checkpoint: Path
) -> None:
    (checkpoint / "pytorch_model_fsdp_0" / "model_world_size_2_rank_1.pt").write_bytes(b"cut")
    async with lab as server:
        body = {"checkpoint_path": str(checkpoint)}
        problem = await server.api.call("POST", "/merge", 500, json=body)

    assert "Error" in problem["detail"]
    assert not (checkpoint / "model.safetensors").exists()


async def test_the_training_callback_gets_the_metrics_of_the_merged_checkpoint(
    lab: ServerProcess, trained: Path, checkpoint: Path, backends: ModuleType
) -> None:
    asked = {
        "model": "dummy",
        "tasks": ["digits_vqa"],
        "model_args": {"response": "seven"},
        "limit": 4,
    }
    merged = checkpoint.with_name("merged")
    async with lab as server:
        callback = backends.EvalServerBackend(server.url, poll_interval=0.2, eval_config=asked)

        job_id = await asyncio.to_thread(
            callback.submit_eval,
            str(checkpoint),
            step=100,
            eval_output_dir=str(checkpoint.with_name("numbers")),
            checkpoint_type="ema",
            output_path=str(merged),
        )

        async def collected() -> Any:
            return callback.check_and_get_completed()

        [(step, numbers)] = await until(collected)
        job = await server.api.job(job_id)

    assert step == 100
    written = results_file(job)["results"]["digits_vqa"]
    assert numbers["eval/digits_vqa_acc"] == written["acc,none"]
    assert compared(merged, trained / "whole", 2) == SAME
    assert any(f"model={merged}" in each for each in job["provenance"]["command"])


@pytest.mark.real_harness("layers/trainers")
async def test_the_trainer_logs_the_metrics_of_our_backend_at_their_step(
    lab: ServerProcess, checkpoint: Path
) -> None:
    async with lab as server:
        [logged] = await train(server.url, checkpoint.parent, 100)
        [job] = (await server.api.call("GET", "/jobs"))["jobs"]

    written = results_file(job)["results"]["digits_vqa"]
    assert logged["eval/digits_vqa_acc"] == written["acc,none"]
    assert logged["global_step"] == 100
    assert (job["series"], job["step"]) == ("run1", 100)


async def train(url: str, output: Path, step: int) -> list[Json]:
    """Have the real trainer's methods evaluate a checkpoint; return what they logged."""
    script = SCRIPTS / "train_with_backend.py"
    done = await asyncio.to_thread(
        subprocess.run,
        [str(interpreter("layers/trainers")), str(script), url, str(output), str(step)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1])},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def compared(one: Path, other: Path, factor: int = 1) -> Json:
    """The differences between the weights of two checkpoints."""
    answer: Json = json.loads(run_in_lmms_engine("compare_weights.py", one, other, factor))
    return answer
