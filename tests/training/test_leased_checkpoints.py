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
