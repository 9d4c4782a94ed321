"""Submitting an evaluation over HTTP."""

from tests.support import Api, request


async def test_a_submitted_job_is_run_and_its_numbers_are_in_the_body(api: Api) -> None:
    job_id = await api.submit(model_args={"value": 0.25})

    job = await api.finished(job_id)

    assert job["result"]["dummy"]["metrics"]["mme"]["acc,none"] == 0.25


async def test_the_answer_says_where_in_the_queue_the_job_is(api: Api) -> None:
    await api.submit(model_args={"behave": "hang"})
    await api.submit()

    answer = await api.call("POST", "/evaluate", json=request())

    assert answer["status"] == "queued"
