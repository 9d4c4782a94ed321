"""``--to mlflow``, with MLflow's own server."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import WAIT_SECONDS, ServerProcess, free_port
from tests.trackers.conftest import KEPT, MakeFollow
from tests.trackers.following import TRACKERS, Follow, read_by
from tests.trackers.history import complete_jobs

pytestmark = pytest.mark.real_harness("trackers")

JOBS = 16

READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name(sys.argv[2])
runs = client.search_runs([experiment.experiment_id], max_results=50000)
print(json.dumps([
    {"tags": run.data.tags, "params": run.data.params, "status": run.info.status,
     "name": run.info.run_name, "started": run.info.start_time, "ended": run.info.end_time,
     "rows": [[metric.key, metric.step, metric.value, metric.timestamp]
              for key in run.data.metrics
              for metric in client.get_metric_history(run.info.run_id, key)]}
    for run in runs
]))
"""
"""Prints all runs as JSON, with every row of the histories of their metrics."""


class MlflowServer:
    """MLflow's server on a database of its own, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it if it does not run, and wait until it answers."""
        if self._process is None:
            self._launch()
        while not self._answers():
            time.sleep(0.1)

    def count_runs(self) -> int:
        """The number of its runs."""
        with closing(sqlite3.connect(self._folder / "mlflow.db", timeout=60)) as database:
            return int(database.execute("SELECT count(*) FROM runs").fetchone()[0])

    def _launch(self) -> None:
        database = f"sqlite:///{self._folder / 'mlflow.db'}"
        with (self._folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                [TRACKERS, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1",
                 "--port", str(self._port), "--backend-store-uri", database,
                 "--artifacts-destination", str(self._folder)],
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                     "MLFLOW_DISABLE_TELEMETRY": "true"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill it with all of its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(WAIT_SECONDS)
            self._process = None

    def runs(self, experiment: str) -> list[Any]:
        """All runs of an experiment."""
        found: list[Any] = read_by(READ, self.url, experiment)
        return found

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "mlflow.log").read_text()
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def shared_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server of MLflow for the tests of this file."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.kill()


@pytest.fixture
def mlflow(shared_mlflow: MlflowServer) -> MlflowServer:
    """A server of MLflow, which runs."""
    shared_mlflow.start()
    return shared_mlflow


@pytest.fixture
def follow(make_follow: MakeFollow, mlflow: MlflowServer) -> Follow:
    """The command that sends to it."""
    options = ("--to", "mlflow", "--uri", mlflow.url)
    return make_follow(*options, python=TRACKERS)


async def test_a_run_has_the_numbers_of_a_job_and_what_they_belong_to(
    server: ServerProcess, follow: Follow, mlflow: MlflowServer
) -> None:
    arguments = {"behave": "scores", "scores": "1/0/0.5"}
    async with server:
        done = await server.api.submit(
            series="run", step=7, labels={"team": "a"}, model_args=arguments, tasks=["mme"]
        )
        failed = await server.api.submit(model_args={"behave": "crash"})
        await server.api.finished(failed)
        job = await server.api.finished(done)
        follow.once()
        follow.once("--from-start")

    found = mlflow.runs("evalserver")
    runs = {run["tags"]["evalserver.job_id"]: run for run in found}
    assert len(found) == len(runs) == 2
    run = runs[done]
    assert (run["status"], run["name"]) == ("FINISHED", "run step 7")
    assert [row[:3] for row in sorted(run["rows"])] == [
        ["mme/acc", 7, 0.5],
        ["mme/acc_stderr", 7, pytest.approx(0.2357, abs=1e-4)],
    ]
    assert {row[3] for row in run["rows"]} == {run["ended"]}
    assert run["tags"]["evalserver.link"] == f"{server.url}/ui/jobs/{done}"
    assert run["tags"]["evalserver.label.team"] == "a"
    assert run["tags"]["evalserver.version.evalserver"] == job["provenance"]["evalserver"]
    assert run["params"]["model_args.scores"] == "1/0/0.5"
    assert (runs[failed]["status"], runs[failed]["rows"]) == ("FAILED", [])


async def test_every_number_comes_once_through_kills_of_follower_and_mlflow(
    server: ServerProcess, make_follow: MakeFollow, mlflow: MlflowServer
) -> None:
    options = ("--to", "mlflow", "--uri", mlflow.url, "--experiment", "storm")
    follow = make_follow(*options, python=TRACKERS)
    numbers = await complete_jobs(server.data_dir, range(JOBS), keep=KEPT)
    end = mlflow.count_runs() + JOBS
    async with server:
        follow.kill_often(1, mlflow.count_runs, end)
        follow.kill_often(1, mlflow.count_runs, end, meanwhile=mlflow.kill)
        mlflow.start()
        follow.once()

    runs = mlflow.runs("storm")
    rows = [
        (run["tags"]["evalserver.job_id"], key, step, value)
        for run in runs
        for key, step, value, _ in run["rows"]
    ]
    assert sorted(rows) == sorted(numbers)
    assert len(runs) == JOBS


def test_an_address_that_mlflow_cannot_use_is_named(tmp_path: Path) -> None:
    options = ("--to", "mlflow", "--uri", "nonsense://x")

    done = Follow("http://127.0.0.1:1", tmp_path, *options, python=TRACKERS).run()

    assert "MLflow cannot use nonsense://x" in done.stderr
    assert "internal error" not in done.stderr
