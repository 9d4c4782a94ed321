"""Several evaluations at once, with real processes on simulated GPUs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeApi
from tests.support import Api, Json, ServerProcess, request, until


@asynccontextmanager
async def release(path: Path) -> AsyncIterator[Json]:
    """Yield model arguments with which an evaluation runs until the block ends."""
    yield {"until": str(path)}
    path.touch()


async def artifact(api: Api, job_id: str) -> str:
    """Return the environment that the harness of a finished job has recorded."""
    job = await api.finished(job_id)
    return (Path(job["output_dir"]) / "environment.txt").read_text()


async def refused(api: Api, **fields: Any) -> Json:
    """Return the problem document of a refused submission."""
    problem: Json = await api.call("POST", "/evaluate", 422, json=request(**fields))
    return problem


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """The real application with two GPUs, which are taken as given: there is no NVML."""
    return await make_api(gpus="0,1")


async def test_as_many_jobs_run_at_once_as_there_are_gpus(api: Api, tmp_path: Path) -> None:
    async with release(tmp_path / "end") as args:
        jobs = [await api.submit(model_args=args) for _ in range(3)]
        for job_id in jobs[:2]:
            await api.when(job_id, "running")

        queue = await api.call("GET", "/queue")

        assert (queue["running_jobs"], queue["queued_jobs"]) == (jobs[:2], jobs[2:])
        assert queue["running_job"] == jobs[0]


async def test_a_job_holds_gpus_that_no_other_holds(api: Api, tmp_path: Path) -> None:
    async with release(tmp_path / "end") as args:
        jobs = [await api.submit(model_args=args) for _ in range(2)]

        held = [(await api.when(job_id, "running"))["gpus"] for job_id in jobs]

        assert held == [["0"], ["1"]]


async def test_an_evaluation_sees_only_the_gpus_that_it_holds(api: Api) -> None:
    show = "CUDA_VISIBLE_DEVICES/CUDA_DEVICE_ORDER/ROCR_VISIBLE_DEVICES/HIP_VISIBLE_DEVICES"
    args = {"behave": "environment", "show": show}

    of_two = await artifact(api, await api.submit(model_args=args, num_gpus=2, num_processes=1))
    of_none = await artifact(api, await api.submit(model_args=args, num_gpus=0))

    assert of_two.splitlines() == [
        "CUDA_VISIBLE_DEVICES=0,1",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
        "ROCR_VISIBLE_DEVICES=0,1",
        "HIP_VISIBLE_DEVICES=0,1",
    ]
    assert "CUDA_VISIBLE_DEVICES=-1" in of_none


async def test_a_job_without_gpus_runs_beside_those_that_hold_all(api: Api, tmp_path: Path) -> None:
    async with release(tmp_path / "end") as args:
        await api.when(await api.submit(model_args=args, num_gpus=2), "running")

        job = await api.finished(await api.submit(num_gpus=0))

        assert (job["status"], job["gpus"]) == ("completed", [])


async def test_nobody_overtakes_a_job_that_waits_for_gpus(api: Api, tmp_path: Path) -> None:
    async with release(tmp_path / "end") as args:
        first = await api.submit(model_args=args)
        await api.when(first, "running")
        large = await api.submit(num_gpus=2)
        small = await api.submit()

        waits = [(await api.job(job_id))["waiting_for"] for job_id in (large, small)]

        assert waits[0] == f"it needs 2 GPUs; 1 free, GPU 0 (job {first})"
        assert waits[1] == "1 job with GPUs before it in the queue"


async def test_more_gpus_than_are_managed_are_refused(api: Api) -> None:
    problem = await refused(api, num_gpus=3)

    assert problem["errors"] == [{"field": "num_gpus", "message": "This server manages 2 GPUs."}]


async def test_more_processes_than_gpus_are_refused(api: Api) -> None:
    problem = await refused(api, num_gpus=1, num_processes=2)

    assert [each["field"] for each in problem["errors"]] == ["num_processes"]


@pytest.mark.parametrize(
    ("num_gpus", "device"), [(1, "cuda:1"), (2, "cuda:2"), (0, "cuda"), (0, "cuda:0")]
)
async def test_a_device_that_the_job_does_not_hold_is_refused(
    api: Api, num_gpus: int, device: str
) -> None:
    problem = await refused(api, num_gpus=num_gpus, device=device)

    assert [each["field"] for each in problem["errors"]] == ["device"]


async def test_a_token_at_its_limit_lets_others_go_first(make_api: MakeApi, tmp_path: Path) -> None:
    api = await make_api(gpus="0,1", max_running_per_token=1)
    async with release(tmp_path / "end") as args:
        await api.when(await api.submit(model_args=args), "running")

        waiting = await api.submit()

        job = await api.job(waiting)
        assert job["waiting_for"].startswith("anonymous to have fewer than 1 running")


async def test_a_token_at_its_limit_without_gpus_still_starts_jobs_with_gpus(
    make_api: MakeApi, tmp_path: Path
) -> None:
    api = await make_api(gpus="0,1", max_running_per_token=1)
    async with release(tmp_path / "end") as args:
        await api.when(await api.submit(model_args=args, num_gpus=0), "running")

        await api.when(await api.submit(model_args=args), "running")


async def test_a_job_that_lacks_a_quarantined_gpu_does_not_block_the_others(api: Api) -> None:
    await api.call("PUT", "/gpus/1/quarantine")
    large = await api.submit(num_gpus=2)

    small = await api.finished(await api.submit())

    assert small["status"] == "completed"
    waits = (await api.job(large))["waiting_for"]
    assert waits == "it needs 2 GPUs; 1 is in service, GPU 1 is quarantined"
    await api.call("DELETE", "/gpus/1/quarantine")
    assert (await api.finished(large))["gpus"] == ["0", "1"]


async def test_gpus_are_held_across_a_killed_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--cancel-grace", "1", "--gpus", "0,1")
    async with server:
        async with release(tmp_path / "end") as args:
            first = await server.api.submit(model_args=args)
            await server.api.wait_for_harness(first)
            large = await server.api.submit(num_gpus=2)
            small = await server.api.submit(model_args=args, priority=1)
            await server.api.wait_for_harness(small)

            server.kill()
            await server.start()

            holds = server.query("SELECT gpu || ' ' || holder_id FROM gpu_holds ORDER BY gpu")
            assert holds == [f"0 {first}", f"1 {small}"]
            assert (await server.api.job(large))["status"] == "queued"
        assert (await server.api.finished(large))["gpus"] == ["0", "1"]
        assert server.query("SELECT * FROM gpu_holds") == []


async def test_a_job_that_was_started_without_managed_gpus_keeps_all_from_others(
    tmp_path: Path,
) -> None:
    async with release(tmp_path / "end") as args:
        async with ServerProcess(tmp_path / "data") as unmanaged:
            first = await unmanaged.api.submit(model_args=args)
            await unmanaged.api.wait_for_harness(first)
            unmanaged.stop()
        async with ServerProcess(tmp_path / "data", "--gpus", "0,1") as server:
            second = await server.api.submit()

            waiting_for = (await server.api.job(second))["waiting_for"]

            assert (
                waiting_for == f"it needs 1 GPU; 0 free, GPU 0 (job {first}), GPU 1 (job {first})"
            )
            (tmp_path / "end").touch()
            await server.api.finished(second)


async def test_a_later_job_fills_a_gap_that_ends_before_the_reserved_start(
    make_api: MakeApi, tmp_path: Path
) -> None:
    api = await make_api(gpus="0,1", backfill=True)
    async with release(tmp_path / "end") as args:
        first = await api.submit(model_args=args, timeout_s=3600)
        await api.when(first, "running")
        large = await api.submit(num_gpus=2)

        short = await api.finished(await api.submit(timeout_s=60))

        assert short["status"] == "completed"
        assert (await api.job(large))["status"] == "queued"


async def _is_running(api: Api, job_id: str) -> bool:
    return bool((await api.job(job_id))["status"] != "queued")


async def test_a_cancelled_job_releases_its_gpus(api: Api, tmp_path: Path) -> None:
    first = await api.submit(model_args={"behave": "hang"}, num_gpus=2)
    await api.when(first, "running")
    second = await api.submit(num_gpus=2)

    await api.call("DELETE", f"/jobs/{first}")

    await until(lambda: _is_running(api, second))
    await api.finished(second)
