"""``--to wandb`` in W&B's offline mode, read back from the files that ``wandb sync`` sends."""

import shutil
from pathlib import Path

import pytest

from tests.support import ServerProcess
from tests.trackers.conftest import MakeFollow
from tests.trackers.following import TRACKERS, Follow
from tests.trackers.history import complete_jobs
from tests.trackers.offline_runs import offline_runs

pytestmark = pytest.mark.real_harness("trackers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory for the files of runs."""
    return tmp_path / "runs"


@pytest.fixture
def follow(make_follow: MakeFollow, folder: Path) -> Follow:
    """The command that writes there."""
    options = ("--to", "wandb", "--project", "evaluations", "--dir", folder)
    return make_follow(*options, python=TRACKERS, environment={"WANDB_MODE": "offline"})


async def test_a_job_is_a_run_of_its_own_with_the_step_as_the_axis_of_its_numbers(
    server: ServerProcess, follow: Follow, folder: Path
) -> None:
    arguments = {"behave": "scores", "scores": "1/0/0.5"}
    async with server:
        job = await server.api.submit(
            series="run", step=700, labels={"team": "a"}, model_args=arguments
        )
        await server.api.finished(job)
        follow.once()

    [run] = offline_runs(folder)
    assert run["id"].startswith(job)
    assert (run["group"], run["name"], run["exit"]) == ("run", "run step 700", 0)
    assert run["tags"] == ["completed", "team:a"]
    assert run["metrics"] == {"eval/step": "", "eval/*": "eval/step"}
    [row] = run["history"]
    assert (row["eval/step"], row["eval/mme/acc"]) == (700, 0.5)
    assert row["eval/mme/acc_stderr"] == pytest.approx(0.2357, abs=1e-4)
    assert run["config"]["model_args.scores"] == "1/0/0.5"
    assert run["config"]["evalserver"]["link"] == f"{server.url}/ui/jobs/{job}"
    assert run["summary"]["evalserver/status"] == "completed"


async def test_every_number_comes_once_through_kills_and_a_new_beginning(
    server: ServerProcess, follow: Follow, folder: Path
) -> None:
    numbers = await complete_jobs(server.data_dir, range(40))

    def count() -> int:
        return len(list(folder.glob("wandb/offline-run-*")))

    async with server:
        follow.kill_often(2, count, end=40)
        follow.once()
        follow.once("--from-start")
        found_runs = offline_runs(folder)
        shutil.rmtree(folder / "wandb")  # as after they were synced
        follow.once()

    assert not (folder / "wandb").exists()
    found = [
        (run["id"].rpartition("-")[0], name.removeprefix("eval/"), row["eval/step"], value)
        for run in found_runs
        for row in run["history"]
        for name, value in row.items()
        if name.startswith("eval/mme")
    ]
    assert sorted(found) == sorted(numbers)
