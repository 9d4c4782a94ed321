"""What the pages say about odd results."""

import json

from tests.support import Api, ServerProcess

ODD = json.dumps({"mme": {"acc,none": float("nan")}, "ai2d": {"acc,none": 0.5}})


async def _page(api: Api, path: str) -> str:
    async with api._session.get(api._base + path) as answer:
        assert answer.status == 200
        return str(await answer.text())


async def test_odd_results_are_shown_on_the_pages_and_in_lists(server: ServerProcess) -> None:
    async with server:
        api = server.api
        args = {"behave": "report", "results": ODD}
        job_id = await api.submit_unchecked(tasks=["mme", "ai2d"], model_args=args)
        await api.finished(job_id)

        pages = [await _page(api, path) for path in (f"/ui/jobs/{job_id}", "/ui/jobs", "/")]

    assert ["completed with warnings" in page for page in pages] == [True, True, True]
    assert "<strong>mme</strong>: acc,none is NaN" in pages[0]


async def test_a_job_without_a_number_says_why_in_the_list(server: ServerProcess) -> None:
    async with server:
        api = server.api
        results = json.dumps({"mme": {"submission,none": None}})
        job_id = await api.submit(model_args={"behave": "report", "results": results})
        await api.finished(job_id)

        page = await _page(api, "/")

    assert "this split only makes a submission file" in page


async def test_a_failed_job_says_once_why(server: ServerProcess) -> None:
    async with server:
        api = server.api
        job_id = await api.submit(model_args={"behave": "no_numbers"})
        await api.finished(job_id)

        page, jobs = [await _page(api, path) for path in (f"/ui/jobs/{job_id}", "/ui/jobs")]

    assert page.count("No score: acc,none is") == 1
    assert "The harness&#39;s results have no number" in jobs


async def test_values_without_a_standard_error_share_their_decimals(server: ServerProcess) -> None:
    async with server:
        jobs = []
        for value in (0.5, 0.512):
            args = {"behave": "report", "results": json.dumps({"mme": {"acc,none": value}})}
            jobs.append(await server.api.submit(model_args=args))
            await server.api.finished(jobs[-1])

        page = await _page(server.api, f"/ui/compare?job={jobs[0]}&job={jobs[1]}")

    assert "<strong>0.5000</strong>" in page
    assert "<strong>0.5120</strong>" in page


async def test_the_numbers_of_a_failed_job_are_on_its_page(server: ServerProcess) -> None:
    async with server:
        api = server.api
        args = {"behave": "leave", "what": "none", "code": 1}
        job_id = await api.submit(model_args=args)
        await api.finished(job_id)

        page = await _page(api, f"/ui/jobs/{job_id}")

    assert "Numbers of the failed job" in page
    assert "These numbers were saved before the evaluation failed" in page
