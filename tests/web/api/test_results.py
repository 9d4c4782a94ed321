"""``GET /jobs/{job_id}/results``: the numbers of a completed job."""

import csv
import io
import uuid
from typing import Any

import pytest

from tests.conftest import MakeApi
from tests.support import Api

JUDGE = {"behave": "judge"}


async def results(api: Api, job_id: str, status: int = 200) -> Any:
    """What the route answers."""
    return await api.call("GET", f"/jobs/{job_id}/results", status)


async def table(api: Api, job_id: str) -> list[dict[str, str]]:
    """The answer as a table, as a spreadsheet reads it."""
    async with api._session.get(f"/jobs/{job_id}/results?format=csv") as answer:
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        return list(csv.DictReader(io.StringIO(await answer.text())))


async def test_there_is_a_row_for_each_task_metric_and_filter(api: Api) -> None:
    job_id = await api.submit(tasks=["mme", "ai2d"], model_args=JUDGE)
    await api.finished(job_id)

    body = await results(api, job_id)

    rows = [(row["task"], row["metric"], row["filter"]) for row in body["results"]]
    assert rows == [
        (task, *metric)
        for task in ("ai2d", "mme")
        for metric in (("acc", "loose"), ("acc", "strict"), ("f1", "strict"), ("loss", "strict"))
    ]


async def test_a_row_has_the_value_its_error_and_how_many_samples_it_is_of(api: Api) -> None:
    job_id = await api.submit(model_args={"value": 0.1})
    await api.finished(job_id)

    [row] = (await results(api, job_id))["results"]

    assert row == {
        "task": "mme",
        "metric": "acc",
        "filter": "none",
        "value": 0.1,
        "stderr": 0.01,
        "n": 4,
        "higher_is_better": True,
    }


async def test_a_row_says_when_less_is_better(api: Api) -> None:
    job_id = await api.submit(model_args=JUDGE)
    await api.finished(job_id)

    rows = (await results(api, job_id))["results"]

    better = {row["metric"]: row["higher_is_better"] for row in rows}
    assert better == {"acc": True, "f1": True, "loss": False}


async def test_the_answer_says_of_which_job_and_model_it_is(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)

    body = await results(api, job_id)

    del body["results"]
    assert body == {
        "job_id": job_id,
        "status": "completed",
        "attempt": 1,
        "model": "dummy",
        "model_names": ["dummy"],
        "failed_requests": {"failed": 0, "of": 1, "share": 0.0},
    }


async def test_a_job_that_has_not_finished_is_409(api: Api) -> None:
    running = await api.submit(model_args={"behave": "hang"})
    queued = await api.submit()
    await api.when(running, "running")

    details = [(await results(api, job_id, 409))["detail"] for job_id in (running, queued)]

    assert [detail.partition(" is ")[2] for detail in details] == [
        "running; it has results once it is completed",
        "queued; it has results once it is completed",
    ]


async def test_a_failed_job_is_409_and_says_why_it_failed(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "crash"})
    await api.finished(job_id)

    problem = await results(api, job_id, 409)

    assert problem["detail"] == (
        f"Job {job_id} failed, so it has no results: The evaluation failed with return code 1: "
        "RuntimeError: the stand-in was told to crash"
    )


async def test_a_cancelled_job_is_409(api: Api) -> None:
    await api.submit(model_args={"behave": "hang"})
    job_id = await api.submit()
    await api.call("DELETE", f"/jobs/{job_id}")

    problem = await results(api, job_id, 409)

    assert problem["detail"] == f"Job {job_id} was cancelled, so it has no results"


async def test_a_job_that_is_tried_again_has_no_results_until_then(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)
    await api.submit(model_args={"behave": "hang"})
    await api.call("POST", f"/jobs/{job_id}/retry")

    await results(api, job_id, 409)


async def test_a_job_that_never_was_is_404(api: Api) -> None:
    await results(api, str(uuid.uuid4()), 404)


async def test_a_pruned_job_is_410(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await api.submit()
    await api.finished(await api.submit())

    await results(api, pruned, 410)


async def test_a_spreadsheet_reads_the_same_numbers(api: Api) -> None:
    job_id = await api.submit(model_args=JUDGE)
    await api.finished(job_id)

    rows = await table(api, job_id)

    expected = [
        {"job_id": job_id, "model": "dummy", **row}
        for row in (await results(api, job_id))["results"]
    ]
    assert rows == [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in expected
    ]


async def test_a_spreadsheet_runs_nothing_of_it(api: Api) -> None:
    job_id = await api.submit(model="=1+2")
    await api.finished(job_id)

    [row] = await table(api, job_id)

    assert row["model"] == "'=1+2"


@pytest.mark.parametrize("query", ["format=xml", "formats=csv"])
async def test_another_query_is_refused(api: Api, query: str) -> None:
    await api.call("GET", f"/jobs/{uuid.uuid4()}/results?{query}", 422)
