"""The executors of the settings, when a server starts."""

from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.executors.settings import read_executors
from evalserver.server.cannot_start import CannotStart
from evalserver.server.configured_engines import configured_engines
from evalserver.server.executors import (
    configured_executors,
    require_executors_of_jobs,
    require_run_roots_of_jobs,
    run_roots,
)
from evalserver.settings.server_args import ServerArgs
from evalserver.store import Store
from evalserver.web.schemas.evaluate_request import EvaluateSchema
from evalserver.web.schemas.queries import Bounds
from tests.cli.commands import run_evalserver
from tests.conftest import MakeApi
from tests.support import free_port

SLURM = {"gpu": {"type": "slurm"}}
REQUEST = EvaluateRequest("dummy", ("mme",))


async def submit(store: Store, number: int, executor: str) -> str:
    """Queue a job of an executor; return its id."""
    job_id = f"00000000-0000-0000-0000-{number:012}"
    await store.jobs.submit(NewJob(job_id, "lmms_eval", REQUEST, "alice", executor=executor))
    return job_id


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"default_executor": "gpus", "executors": SLURM}, "default_executor: There is no .*'gpu'"),
        (
            {"engines": {"lm_eval": {"executor": "gpu"}}},
            r"engines\.lm_eval\.executor: There is no executor 'gpu'\. Known executors: local",
        ),
        ({"executors": {"gpu": {"type": "slurm", "mem": "x"}}}, r"executors\.gpu\.mem must be"),
    ],
)
def test_an_invalid_setting_keeps_the_server_from_starting(
    settings: dict[str, Any], message: str
) -> None:
    args = ServerArgs(**settings)

    with pytest.raises(CannotStart, match=message):
        configured_executors(args, configured_engines(args))


async def test_an_executor_with_unfinished_jobs_may_not_vanish(store: Store) -> None:
    jobs = [await submit(store, number, "gpu") for number in range(12)]

    with pytest.raises(CannotStart, match=r"no table \[executors\.gpu\]") as raised:
        await require_executors_of_jobs(store, read_executors({}, Path("/")))

    assert [job for job in jobs if job in str(raised.value)] == jobs[:10]
    assert "Put the table back" in str(raised.value)


async def test_an_executor_may_vanish_when_its_jobs_have_finished(store: Store) -> None:
    await store.jobs.cancel_queued(await submit(store, 1, "gpu"), "alice", 100, None)
    await submit(store, 2, "local")

    await require_executors_of_jobs(store, read_executors({}, Path("/")))


async def test_the_start_is_refused_without_a_change_of_any_job(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    job_id = await submit(store, 1, "gpu")
    await store.close()

    ended = run_evalserver("serve", "--data-dir", tmp_path, "--port", free_port())

    assert ended.returncode != 0
    assert "no table [executors.gpu]" in ended.stderr
    assert job_id in ended.stderr
    store = await Store.open(tmp_path)
    assert [job.job_id for job in await store.queries.queued()] == [job_id]
    await store.close()


async def test_a_job_of_an_executor_that_is_gone_is_not_tried_again(
    data_dir: Path, make_api: MakeApi
) -> None:
    store = await Store.open(data_dir)
    job_id = await submit(store, 1, "gpu")
    await store.jobs.cancel_queued(job_id, "alice", 100, None)
    await store.close()
    api = await make_api()

    answer = await api.call("POST", f"/jobs/{job_id}/retry", 409)

    assert answer["detail"].startswith("There is no executor 'gpu'.")


def test_servers_that_share_a_run_root_have_a_folder_each(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    executors = read_executors({"gpu": {**SLURM["gpu"], "run_root": str(shared)}}, tmp_path)
    places = [tmp_path / name for name in ("a", "b")]
    for place in places:
        place.mkdir()

    roots = [run_roots(place, executors)["gpu"] for place in places]

    assert len(set(roots)) == 2
    assert {root.parent for root in roots} == {shared}
    assert {root.stat().st_mode & 0o777 for root in roots} == {0o700}
    assert run_roots(places[0], executors)["gpu"] == roots[0]


def test_without_a_run_root_a_cluster_has_the_folder_of_the_data_directory(tmp_path: Path) -> None:
    assert run_roots(tmp_path, read_executors(SLURM, tmp_path)) == {}
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]


async def test_a_run_root_that_is_not_mounted_keeps_a_server_with_jobs_there_from_starting(
    store: Store, tmp_path: Path
) -> None:
    executors = read_executors({"gpu": {**SLURM["gpu"], "run_root": str(tmp_path)}}, tmp_path)
    job_id = await submit(store, 1, "gpu")
    await require_run_roots_of_jobs(store, executors)
    run_dir = tmp_path / "evalserver-1" / job_id / "attempt-1"
    job = await store.queries.job(job_id)
    await store.jobs.hand_over(job, run_dir, run_dir / "output")

    with pytest.raises(CannotStart, match=f"{run_dir.parents[1]} is gone.*{job_id}.*mounted"):
        await require_run_roots_of_jobs(store, executors)

    run_dir.parents[1].mkdir()
    await require_run_roots_of_jobs(store, executors)


@pytest.mark.parametrize("place", ["shared", "shared/evalserver-1/job"])
def test_clients_cannot_have_files_written_among_run_directories(
    tmp_path: Path, place: str
) -> None:
    bounds = Bounds(
        ("lmms_eval",), None, tmp_path / "data", (str(tmp_path),), (), (tmp_path / "shared",)
    )
    body = {"model": "dummy", "tasks": ["mme"], "output_dir": str(tmp_path / place)}

    with pytest.raises(ValidationError, match="outside of the directories of executors"):
        EvaluateSchema(bounds).load(body)


async def test_a_job_waits_for_a_cluster_that_cannot_be_reached(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", "/no/such/slurm.conf")
    api = await make_api(executors=SLURM, default_executor="gpu")

    job = await api.job(await api.submit(num_gpus=8))

    assert (job["status"], job["executor"], job["request"]["executor"]) == ("queued", "gpu", "gpu")
    assert job["started_at"] is None
    here = await api.finished(await api.submit(executor="local"))
    assert (here["status"], here["executor"]) == ("completed", "local")
