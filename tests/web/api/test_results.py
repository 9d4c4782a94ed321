"""``GET /jobs/{job_id}/results``: the metrics of a completed job."""

import csv
import io
import uuid
from typing import Any

import pytest

from tests.support import Api

JUDGE = {"behave": "judge"}


async def results(api: Api, job_id: str, status: int = 200) -> Any:
    """Return the response of the route."""
    return await api.call("GET", f"/jobs/{job_id}/results", status)


async def table(api: Api, job_id: str) -> list[dict[str, str]]:
    """Return the response as a table, parsed as CSV."""
    async with api._session.get(f"/jobs/{job_id}/results?format=csv") as response:
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        return list(csv.DictReader(io.StringIO(await response.text())))


async def test_there_is_a_row_per_task_metric_and_filter(api: Api) -> None:
    job_id = await api.submit(tasks=["mme", "ai2d"], model_args=JUDGE)
    await api.finished(job_id)

    body = await results(api, job_id)

    rows = [(row["task"], row["metric"], row["filter"]) for row in body["results"]]
    assert rows == [
        (task, *metric)
        for task in ("ai2d", "mme")
        for metric in (("acc", "loose"), ("acc", "strict"), ("f1", "strict"), ("loss", "strict"))
    ]


async def test_a_row_has_its_value_standard_error_and_sample_count(api: Api) -> None:
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
        "task_version": None,
        "num_fewshot": None,
    }


async def test_a_row_says_whether_lower_is_better(api: Api) -> None:
    job_id = await api.submit(model_args=JUDGE)
    await api.finished(job_id)

    rows = (await results(api, job_id))["results"]

    better = {row["metric"]: row["higher_is_better"] for row in rows}
    assert better == {"acc": True, "f1": True, "loss": False}


async def test_the_response_names_its_job_and_model(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)

    body = await results(api, job_id)

    for name in ("results", "created_at", "completed_at"):
        del body[name]
    assert body == {
        "job_id": job_id,
        "status": "completed",
        "attempt": 1,
        "complete": True,
        "pruned": False,
        "model": "dummy",
        "model_names": ["dummy"],
        "engine": "lmms_eval",
        "tasks": ["mme"],
        "labels": {},
        "series": None,
        "step": None,
        "failed_requests": {"failed": 0, "of": 4, "share": 0.0},
    }


async def test_an_unfinished_job_is_409(api: Api) -> None:
    running = await api.submit(model_args={"behave": "hang"})
    queued = await api.submit()
    await api.when(running, "running")

    details = [(await results(api, job_id, 409))["detail"] for job_id in (running, queued)]

    assert [detail.partition(" is ")[2] for detail in details] == [
        "running; it has results once it is completed",
        "queued; it has results once it is completed",
    ]


async def test_a_failed_job_is_409_with_its_error(api: Api) -> None:
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


async def test_a_retried_job_has_no_results_until_it_completes(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)
    await api.submit(model_args={"behave": "hang"})
    await api.call("POST", f"/jobs/{job_id}/retry")

    await results(api, job_id, 409)


async def test_an_unknown_job_is_404(api: Api) -> None:
    await results(api, str(uuid.uuid4()), 404)


async def test_csv_has_the_same_values(api: Api) -> None:
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


async def test_csv_cells_are_never_formulas(api: Api) -> None:
    job_id = await api.submit(model="=1+2")
    await api.finished(job_id)

    [row] = await table(api, job_id)

    assert row["model"] == "'=1+2"


@pytest.mark.parametrize("query", ["format=xml", "formats=csv"])
async def test_an_invalid_query_is_rejected(api: Api, query: str) -> None:
    await api.call("GET", f"/jobs/{uuid.uuid4()}/results?{query}", 422)


FAILED_WITH_NUMBERS = {"behave": "leave", "what": "none", "code": 1}


async def test_the_numbers_of_a_failed_job_are_shown_as_incomplete(api: Api) -> None:
    job_id = await api.submit(model_args=FAILED_WITH_NUMBERS)
    await api.finished(job_id)

    body = await results(api, job_id)

    assert (body["status"], body["complete"]) == ("failed", False)
    assert [row["value"] for row in body["results"]] == [0.5]
    assert [row["value"] for row in await table(api, job_id)] == ["0.5"]


async def test_a_failed_job_with_numbers_is_not_compared(api: Api) -> None:
    completed = await api.submit()
    failed = await api.submit(model_args=FAILED_WITH_NUMBERS)
    await api.finished(failed)

    problem = await api.call("GET", f"/compare?job={completed}&job={failed}", 409)

    assert f"Job {failed} failed" in problem["detail"]
