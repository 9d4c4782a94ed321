"""A training that logs its evaluations in its own run of W&B, which nobody else writes."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import WAIT_SECONDS, ServerProcess
from tests.trackers.following import ROOT, TRACKERS
from tests.trackers.offline_runs import offline_runs

TRAINING = """
import sys
from pathlib import Path

import wandb

from evalserver.training import CheckpointEvaluations

folder = Path(sys.argv[1])
run = wandb.init(project="training", id="trainer", dir=folder, mode="offline",
                 settings=wandb.Settings(console="off", silent=True))
evaluations = CheckpointEvaluations(series="run1", model="dummy", tasks=["mme"], poll_s=0.1)
{define_metric}

def log_finished():
    assert evaluations.wait(120)
{log_finished}

for step in range(1, 31):
    run.log({{"loss": 1 / step}})
    if step % 10 == 0:
        checkpoint = folder / f"checkpoint-{{step}}"
        checkpoint.mkdir()
        (checkpoint / "weights").write_text(str(step))
        evaluations.submit(checkpoint, step=step)
        if step == 20:
            log_finished()
log_finished()
evaluations.close()
run.finish()
"""


@pytest.mark.real_harness("trackers")
async def test_late_numbers_have_the_step_of_their_checkpoint_and_overwrite_nothing(
    server: ServerProcess, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    start = page.index('    run.define_metric("eval/*"')
    define_metric, log_finished = page[start : page.index("\n\n", start)].split("\n", 1)
    code = TRAINING.format(define_metric=define_metric.strip(), log_finished=log_finished)

    async with server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "EVALSERVER_URL": server.url}
        done = await asyncio.to_thread(
            subprocess.run,
            [str(TRACKERS), "-c", code, str(tmp_path)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    assert done.returncode == 0, done.stderr
    [run] = offline_runs(tmp_path)
    assert run["metrics"]["eval/*"] == "eval/step"
    rows = run["history"]
    assert [row["_step"] for row in rows] == list(range(33))
    assert [row["loss"] for row in rows if "loss" in row] == [1 / step for step in range(1, 31)]
    evaluated = [(row["eval/step"], row["eval/mme/acc"]) for row in rows if "eval/step" in row]
    assert sorted(evaluated) == [(10, 0.5), (20, 0.5), (30, 0.5)]
