"""What clients can still read of pruned jobs, how it is erased, and the budget of bytes."""

import asyncio
from typing import Any

from tests.conftest import MakeApi
from tests.support import Api, Json
from tests.web.api.test_compare import run_scored


async def prune_completed(api: Api, **fields: Any) -> tuple[Json, Json]:
    """Complete a job and prune it; returns the job and its results before that."""
    job_id = await run_scored(api, 1, 0, 1, 0, **fields)
    job = await api.job(job_id)
    results: Json = await api.call("GET", f"/jobs/{job_id}/results")
    await api.call("POST", f"/jobs/{job_id}/prune")
    return job, results


async def test_the_results_of_a_pruned_job_are_those_of_before(api: Api) -> None:
    job, before = await prune_completed(api)

    after = await api.call("GET", f"/jobs/{job['job_id']}/results")

    assert before["pruned"] is False
    assert after == {**before, "pruned": True, "failed_requests": None}


async def test_the_record_and_the_samples_of_a_pruned_job_are_gone(api: Api) -> None:
    job, _ = await prune_completed(api)

    for path in ("", "/log", "/artifacts", "/samples/mme"):
        problem = await api.call("GET", f"/jobs/{job['job_id']}{path}", 410)
        assert "/results" in problem["detail"], path


async def test_a_pruned_job_is_compared_without_pairing(api: Api) -> None:
    job, _ = await prune_completed(api)
    other = await run_scored(api, 1, 1, 1, 0)

    body = await api.call("GET", f"/compare?job={job['job_id']}&job={other}")

    [row] = body["rows"]
    difference = row["values"][1]["difference"]
    assert (body["jobs"][0]["pruned"], difference["method"]) == (True, "unpaired")
    assert "was pruned with its samples" in difference["note"]


async def test_the_page_of_a_pruned_job_shows_its_numbers(api: Api) -> None:
    job, _ = await prune_completed(api, labels={"series": "run"})

    async with api._session.get(f"/ui/jobs/{job['job_id']}") as response:
        text = await response.text()

    assert response.status == 410
    assert "This job was pruned" in text
    assert "0.5" in text


async def test_the_home_page_says_what_is_kept(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=7, max_output_bytes=2 * 1024**2)
    await run_scored(api, 1, 0)

    async with api._session.get("/") as response:
        text = await response.text()

    assert "The newest 7 finished jobs are kept, with files of 2 MiB at most" in text


async def test_an_administrator_erases_the_numbers_of_a_pruned_job(api: Api) -> None:
    job, _ = await prune_completed(api)
    path = f"/jobs/{job['job_id']}"

    response = await api.call("POST", f"{path}/erase")

    assert response == {"message": f"Job {job['job_id']} was erased"}
    await api.call("GET", f"{path}/results", 410)
    await api.call("POST", f"{path}/erase", 410)


async def test_an_administrator_erases_a_job_that_was_not_pruned(api: Api) -> None:
    job_id = await run_scored(api, 1, 0)

    await api.call("POST", f"/jobs/{job_id}/erase")

    await api.call("GET", f"/jobs/{job_id}", 410)
    await api.call("GET", f"/jobs/{job_id}/results", 410)


async def test_a_job_that_has_not_finished_is_not_erased(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "hang"})

    problem = await api.call("POST", f"/jobs/{job_id}/erase", 409)

    assert "only a finished job can be erased" in problem["detail"]
    await api.call("GET", f"/jobs/{job_id}")


async def test_files_beyond_the_budget_are_pruned_but_not_those_of_the_newest_job(
    make_api: MakeApi,
) -> None:
    api = await make_api(max_output_bytes=1)

    first = await run_scored(api, 1, 0)
    second = await run_scored(api, 1, 1)

    await api.call("GET", f"/jobs/{first}", 410)
    await api.call("GET", f"/jobs/{second}")


async def test_parallel_erasures_of_one_job_succeed_once(api: Api) -> None:
    job_id = await run_scored(api, 1, 0)

    async def erase() -> int:
        async with api._session.post(f"/jobs/{job_id}/erase") as response:
            return int(response.status)

    assert sorted(await asyncio.gather(*(erase() for _ in range(4)))) == [200, 410, 410, 410]
