"""Evaluations on a real Slurm of two nodes, through a real server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.slurm_cluster import SlurmCluster
from tests.support import ServerProcess, stand_in_environment, until

pytestmark = pytest.mark.slurm

TABLE = '[executors.cluster]\ntype = "slurm"\npoll_s = 0.5\n'

BOTH_GPUS = {"num_gpus": 2, "num_processes": 1}
"""Those of one node."""


MakeServer = Callable[..., ServerProcess]


@pytest.fixture
def make_server(slurm: SlurmCluster, tmp_path: Path, data_dir: Path) -> MakeServer:
    """Creates a server with the cluster as its default executor."""
    config = tmp_path / "evalserver.toml"
    config.write_text(TABLE)
    options = ("--config", str(config), "--default-executor", "cluster")
    environment = {**stand_in_environment(), **slurm.environment}
    return lambda *more: ServerProcess(data_dir, *options, *more, environment=environment)


@pytest.fixture
def server(make_server: MakeServer) -> ServerProcess:
    """A server with the cluster as its default executor."""
    return make_server()


async def occupy(server: ServerProcess) -> list[str]:
    """Start jobs that use all GPUs of both nodes until they are cancelled; returns their ids."""
    hanging = {**BOTH_GPUS, "model_args": {"behave": "hang"}}
    job_ids = [await server.api.submit(**hanging) for _ in range(2)]
    for job_id in job_ids:
        await server.api.when(job_id, "running")
    return job_ids


async def test_a_job_is_handed_over_runs_there_and_has_its_results(server: ServerProcess) -> None:
    async with server:
        job = await server.api.finished(await server.api.submit())

    assert (job["status"], job["executor"]) == ("completed", "cluster"), job["error"]
    assert job["handed_over_at"] <= job["started_at"] <= job["completed_at"]
    events = server.query("SELECT event FROM job_events WHERE job_id = ?", job["job_id"])
    assert events == ["submitted", "handed_over", "started", "completed"]


async def test_the_provenance_names_the_node_and_the_job_there(
    server: ServerProcess, slurm: SlurmCluster
) -> None:
    async with server:
        job = await server.api.finished(await server.api.submit())

    provenance = job["provenance"]
    shown = slurm.run("scontrol", "show", "job", provenance["cluster_job_id"])
    assert f"NodeList={provenance['host']}\n" in shown


async def test_a_running_job_shows_its_id_there_and_the_command_to_look_at_it(
    server: ServerProcess,
) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"behave": "hang"})

        async def there() -> Any:
            return (await server.api.job(job_id))["cluster_job"]

        found = await until(there)
        await server.api.call("DELETE", f"/jobs/{job_id}")
        ended = await server.api.finished(job_id)

    assert found["command"] == f"scontrol show job {found['id']}"
    assert ended["cluster_job"] is None


async def test_a_running_evaluation_survives_the_server(server: ServerProcess) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"seconds": 5})
        await server.api.when(job_id, "running")
        server.kill()
        await server.start()

        job = await server.api.finished(job_id)

    assert (job["status"], job["attempt"]) == ("completed", 1), job["error"]


async def test_a_job_that_lacks_gpus_waits_there_with_the_words_of_the_cluster(
    server: ServerProcess,
) -> None:
    async with server:
        running = await occupy(server)
        waiting = await server.api.submit(**BOTH_GPUS)

        async def has_reason() -> bool:
            job = await server.api.job(waiting)
            return "Resources" in (job["waiting_for"] or "")

        await until(has_reason)
        job = await server.api.job(waiting)
        executors = (await server.api.call("GET", "/executors"))["executors"]
        cancelled = await server.api.call("DELETE", f"/jobs/{waiting}")
        ended = await server.api.finished(waiting)
        for job_id in running:
            await server.api.call("DELETE", f"/jobs/{job_id}")
        ends = [await server.api.finished(job_id) for job_id in running]

    assert (job["status"], job["attempt"], job["position_in_queue"]) == ("queued", 1, 0)
    cluster = next(each for each in executors if each["name"] == "cluster")
    assert [each["status"] for each in cluster["jobs"]] == ["running", "running", "queued"]
    assert len(cluster["nodes"]) == 2
    assert "is being cancelled" in cancelled["message"]
    assert [each["status"] for each in (ended, *ends)] == ["cancelled"] * 3
    assert ended["started_at"] is None


async def test_a_drained_queue_holds_what_waits_on_the_cluster(server: ServerProcess) -> None:
    async with server:
        blocking = await occupy(server)
        waiting = await server.api.submit(**BOTH_GPUS)

        async def is_handed_over() -> bool:
            return (await server.api.job(waiting))["handed_over_at"] is not None

        await until(is_handed_over)
        await server.api.call("POST", "/drain")
        for job_id in blocking:
            await server.api.call("DELETE", f"/jobs/{job_id}")
            await server.api.finished(job_id)
        held = await server.api.job(waiting)

        await server.api.call("POST", "/resume")
        job = await server.api.finished(waiting)

    assert held["status"] == "queued"
    assert job["status"] == "completed", job["error"]


async def test_a_server_that_cancels_at_its_end_leaves_what_runs_on_the_cluster(
    make_server: MakeServer,
) -> None:
    async with make_server("--on-shutdown", "cancel") as server:
        job_id = await server.api.submit(model_args={"seconds": 5})
        await server.api.when(job_id, "running")
        server.stop()
        await server.start()

        job = await server.api.finished(job_id)

    assert job["status"] == "completed", job["error"]


async def test_a_superseded_job_that_waits_there_is_removed_from_the_cluster(
    server: ServerProcess, slurm: SlurmCluster
) -> None:
    async with server:
        busy = await occupy(server)
        older = await server.api.submit(**BOTH_GPUS, series="run", step=100)

        async def there() -> Any:
            return (await server.api.job(older))["cluster_job"]

        await until(there)

        fields = {**BOTH_GPUS, "series": "run", "step": 200, "on_newer": "supersede"}
        newer = await server.api.submit(**fields)
        ended = await server.api.finished(older)
        for job_id in (newer, *busy):
            await server.api.call("DELETE", f"/jobs/{job_id}")
            await server.api.finished(job_id)

    assert (ended["status"], ended["started_at"]) == ("cancelled", None)
    assert ended["error"] == f"Superseded by job {newer} of step 200"
