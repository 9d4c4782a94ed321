"""A trainer that removes older checkpoints keeps those that evaluations still need."""

from pathlib import Path

import pytest

from evalserver import is_leased
from tests.support import ServerProcess
from tests.training.test_frameworks import EXAMPLES, run

WAITS_FOR_LEASES = '''
import time

from lightning.pytorch import Callback


class WaitsForLeases(Callback):
    """Goes on when the checkpoints are submitted, which takes place beside the training."""

    def on_train_batch_start(self, trainer, *_):
        run = Path(trainer.checkpoint_callback.dirpath)
        end = time.monotonic() + 120
        while not all(map(is_leased, filter(Path.is_dir, run.glob("*")))):
            assert time.monotonic() < end
            time.sleep(0.05)


def main('''

IS_SUBMITTED = '''
import os
import time

from transformers import TrainerCallback
from evalserver import EvalClient


class IsSubmitted(TrainerCallback):
    """Goes on when the checkpoint is submitted, which takes place beside the training."""

    def on_save(self, args, state, *_, **__):
        end = time.monotonic() + 120
        with EvalClient() as client:
            while not any(client.jobs(series="run1", step=state.global_step)):
                assert time.monotonic() < end
                time.sleep(0.05)


def main('''
"""Two saves of this training are milliseconds apart, and the older checkpoint is then removed."""


@pytest.mark.real_harness("layers/trainers")
async def test_huggingface_removes_all_but_the_last_while_an_evaluation_of_each_goes_on(
    tmp_path: Path,
) -> None:
    gate, script = tmp_path / "gate", tmp_path / "keeps_one.py"
    server = ServerProcess(tmp_path / "data", "--allow-path", str(tmp_path))
    code = (EXAMPLES / "huggingface_trainer.py").read_text()
    for old, new in {
        "\ndef main(": IS_SUBMITTED,
        "save_steps=2,": "save_steps=2, save_total_limit=1,",
        "    trainer.add_callback(\n": (
            "    trainer.add_callback(IsSubmitted())\n    trainer.add_callback(\n"
        ),
        "wait_at_end_s=600,": f'lease="link", model_args={{"until": {str(gate)!r}}},',
    }.items():
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    script.write_text(code)

    async with server:
        exit_code, output = await run(script, server.url)
        jobs = (await server.api.call("GET", "/jobs"))["jobs"]
        left = {path.name for path in (tmp_path / "run1").iterdir()}
        gate.touch()
        finished = [await server.api.finished(job["job_id"]) for job in jobs]

    assert exit_code == 0, output
    assert {job["status"] for job in jobs} <= {"running", "queued"}
    assert left == {"checkpoint-6", ".evalserver-leases"}
    assert sorted(job["step"] for job in finished) == [2, 4, 6]
    assert [job["status"] for job in finished] == ["completed"] * 3
    assert [job["result"]["dummy"]["weights_changed"] for job in finished] == [False] * 3


@pytest.mark.real_harness("layers/trainers")
async def test_lightning_keeps_what_evaluations_need(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--allow-path", str(tmp_path))
    code = (EXAMPLES / "lightning_keeps_leased.py").read_text()
    code = code.replace("\ndef main(", WAITS_FOR_LEASES, 1)
    code = code.replace("callbacks=[\n", "callbacks=[\n            WaitsForLeases(),\n", 1)
    script = tmp_path / "waits_for_leases.py"
    script.write_text(code)

    async with server:
        await server.api.call("POST", "/drain")
        exit_code, output = await run(script, server.url)
        jobs = (await server.api.call("GET", "/jobs"))["jobs"]
        paths = [Path(job["request"]["model_args"]["pretrained"]) for job in jobs]
        needed = [is_leased(path) for path in paths]
        await server.api.call("POST", "/resume")
        finished = [await server.api.finished(job["job_id"]) for job in jobs]

    assert exit_code == 0, output
    assert sorted(job["step"] for job in jobs) == [2, 4, 6, 8]
    assert needed == [True] * 4
    assert {job["status"] for job in finished} == {"completed"}
    assert not any(map(is_leased, paths))
