"""Stalled evaluations, through a server: shown, counted, and stopped if that is wanted."""

import psutil

from tests.conftest import MakeApi
from tests.support import Api, Json, harness_of, until

HANGS = {"behave": "hang"}


async def test_a_stalled_evaluation_is_shown_everywhere(api: Api) -> None:
    job_id = await api.submit(model_args=HANGS, stall_after_s=0.5)

    # Its first line may come late, so that it stalls, is active again, and stalls for good.
    await until(lambda: _is_in_log(api, job_id, "stand-in runs"))

    async def stalled() -> Json | None:
        job = await api.job(job_id)
        return job if job["stalled_since"] else None

    async def shown() -> bool:
        pages = [await api.text(each) for each in ("/", f"/ui/jobs/{job_id}", "/ui/jobs")]
        return all("stalled</span>" in page for page in pages)

    async def counted() -> bool:
        metrics = await api.text("/metrics")
        gauge, counter = "evalserver_stalled_evaluations 1.0", "evalserver_stalls_total{engine="
        return gauge in metrics and counter in metrics

    job = await until(stalled)
    await until(shown)
    await until(counted)
    await api.call("DELETE", f"/jobs/{job_id}")
    ended = await api.finished(job_id)

    assert job["status"] == "running"
    assert job["stalled_since"] >= job["started_at"]
    assert (ended["status"], ended["stalled_since"]) == ("cancelled", None)


async def _is_in_log(api: Api, job_id: str, text: str) -> bool:
    return text in await api.text(f"/jobs/{job_id}/log?plain=1")


async def test_an_evaluation_that_fails_for_a_stall_is_not_tried_again(make_api: MakeApi) -> None:
    api = await make_api(stall_after=0.5, on_stall="fail")
    job_id = await api.submit(model_args={"behave": "stubborn"}, max_attempts=3)
    harness = await harness_of(job_id)

    job = await api.finished(job_id)

    assert (job["status"], job["attempt"], job["failure"]["code"]) == ("failed", 1, "stalled")
    assert job["error"].startswith("The evaluation was stopped because it had stalled: it wrote")
    assert job["stalled_since"] is None
    assert not psutil.pid_exists(harness.pid)


async def test_a_request_decides_against_the_setting(make_api: MakeApi) -> None:
    api = await make_api(stall_after=0.5, on_stall="fail")
    job_id = await api.submit(model_args={"seconds": 3}, on_stall="warn")

    assert (await api.finished(job_id))["status"] == "completed"


async def test_results_that_were_saved_before_a_stall_complete_the_job(api: Api) -> None:
    job_id = await api.submit(
        model_args={"behave": "complete_and_hang"}, stall_after_s=1, on_stall="fail"
    )

    job = await api.finished(job_id)

    assert job["status"] == "completed"
    assert "stalled" in job["result_check"]["findings"][0]["message"]


async def test_an_invalid_choice_is_rejected(api: Api) -> None:
    body = {"model": "m", "tasks": ["t"], "on_stall": "kill"}
    problem = await api.call("POST", "/evaluate", 422, json=body)

    assert problem["errors"] == [{"field": "on_stall", "message": "Must be one of warn, fail."}]
