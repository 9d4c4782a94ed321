"""``GET /compare``: differences between the metrics of completed jobs."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support import Api, Json

HANG = {"behave": "hang"}
SCORED = {"behave": "scores"}


async def run_completed(api: Api, **fields: Any) -> str:
    """Run a job to completion."""
    job_id = await api.submit(**fields)
    job = await api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job_id


async def run_scored(api: Api, *scores: float, **fields: Any) -> str:
    """Run a job to completion whose documents get these scores for ``acc``."""
    args = {**SCORED, "scores": "/".join(map(str, scores))}
    return await run_completed(api, model_args=args, **fields)


async def compare(api: Api, *job_ids: str, status: int = 200) -> Json:
    """Return the response of the route."""
    query = "&".join(f"job={job_id}" for job_id in job_ids)
    body: Json = await api.call("GET", f"/compare?{query}", status)
    return body


async def difference(api: Api, baseline: str, other: str) -> Json:
    """Return the difference of ``acc``, the only metric."""
    [row] = (await compare(api, baseline, other))["rows"]
    found: Json = row["values"][1]["difference"]
    return found


async def test_a_row_has_each_jobs_value_and_its_difference_from_the_baseline(api: Api) -> None:
    first = await run_completed(api, model_args={"value": 0.5})
    second = await run_completed(api, model_args={"value": 0.6})

    [row] = (await compare(api, first, second))["rows"]

    baseline, other = row["values"]
    assert (row["task"], row["metric"], row["filter"]) == ("mme", "acc", "none")
    assert baseline == {
        "job_id": first,
        "value": 0.5,
        "stderr": 0.01,
        "n": 4,
        "difference": None,
    }
    assert (other["job_id"], other["value"]) == (second, 0.6)
    assert other["difference"]["value"] == pytest.approx(0.1)


async def test_documents_of_both_jobs_are_paired(api: Api) -> None:
    first = await run_scored(api, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0)
    second = await run_scored(api, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1)

    found = await difference(api, first, second)

    assert (found["method"], found["n"]) == ("paired", 10)
    assert (found["value"], found["stderr"]) == pytest.approx((0.2, 0.2))


async def test_without_samples_the_standard_errors_are_used(api: Api) -> None:
    first = await run_scored(api, 1, 0)
    second = await run_scored(api, 1, 1, log_samples=False)

    found = await difference(api, first, second)

    assert found["method"] == "unpaired"
    assert found["note"] == f"Not paired: job {second} has no samples of mme."


async def test_samples_that_do_not_match_the_value_are_not_paired(api: Api) -> None:
    first = await run_completed(api)
    second = await run_completed(api)

    found = await difference(api, first, second)

    assert found["note"] == "Not paired: the samples have no scores for acc."


async def test_removed_samples_are_not_paired(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 1, 1)
    job = await api.job(second)
    [path] = job["result"]["dummy"]["samples"]
    Path(path).unlink()

    found = await difference(api, first, second)

    assert found["note"] == f"Not paired: the samples of job {second} were removed."


async def test_different_documents_with_the_same_ids_are_not_paired(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 1, 1)
    [path] = (await api.job(second))["result"]["dummy"]["samples"]
    samples = [json.loads(line) for line in Path(path).read_text().splitlines()]
    Path(path).write_text("".join(json.dumps({**s, "doc_hash": "new"}) + "\n" for s in samples))

    found = await difference(api, first, second)

    assert found["note"] == "Not paired: the two have different documents with the same id."


async def test_each_filter_is_compared_separately(api: Api) -> None:
    jobs = [await run_completed(api, model_args={"behave": "judge"}) for _ in range(2)]

    rows = (await compare(api, *jobs))["rows"]

    methods = {
        (row["metric"], row["filter"]): row["values"][1]["difference"]["method"] for row in rows
    }
    assert methods == {
        ("acc", "loose"): "paired",
        ("acc", "strict"): "paired",
        ("f1", "strict"): "paired",
        ("loss", "strict"): "paired",
    }


async def test_a_value_of_only_one_job_has_no_difference(api: Api) -> None:
    first = await run_completed(api, tasks=["mme"])
    second = await run_completed(api, tasks=["ai2d"])

    rows = (await compare(api, first, second))["rows"]

    values_by_task = [(row["task"], [value["value"] for value in row["values"]]) for row in rows]
    assert values_by_task == [("ai2d", [None, 0.5]), ("mme", [0.5, None])]
    assert {value["difference"] for row in rows for value in row["values"]} == {None}


async def test_several_jobs_are_compared_with_the_first(api: Api) -> None:
    jobs = [await run_completed(api, model_args={"value": value}) for value in (0.5, 0.6, 0.4)]

    body = await compare(api, *jobs)

    [row] = body["rows"]
    assert [each["job_id"] for each in body["jobs"]] == jobs
    assert [value["job_id"] for value in row["values"]] == jobs
    assert row["values"][2]["difference"]["value"] == pytest.approx(-0.1)


async def test_the_method_of_comparison_is_reported_with_its_source(api: Api) -> None:
    jobs = [await run_completed(api), await run_completed(api)]

    methods = (await compare(api, *jobs))["methods"]

    assert methods.keys() == {"paired", "unpaired", "bare"}
    assert "arxiv.org/abs/2411.00640" in methods["paired"]["source"]


async def test_a_job_without_results_yet_is_409(api: Api) -> None:
    done = await run_completed(api)
    running = await api.submit(model_args=HANG)

    await compare(api, done, running, status=409)


async def test_an_unknown_job_is_404(api: Api) -> None:
    await compare(api, await run_completed(api), str(uuid.uuid4()), status=404)


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([], "Must be given, or else batch_id; not both."),
        (["a"], "Must be given 2 to 10 times, once per job."),
        ([str(number) for number in range(11)], "Must be given 2 to 10 times, once per job."),
        (["a", "b", "a"], "Must be different jobs."),
    ],
)
async def test_too_few_too_many_or_repeated_jobs_are_rejected(
    api: Api, jobs: list[str], message: str
) -> None:
    problem = await compare(api, *jobs, status=422)

    assert [error["message"] for error in problem["errors"]] == [message]
