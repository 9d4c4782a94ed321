"""``GET /compare``: how the numbers of completed jobs differ."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support import Api, Json

HANG = {"behave": "hang"}
SCORED = {"behave": "scores"}


async def completed(api: Api, **fields: Any) -> str:
    """A completed job."""
    job_id = await api.submit(**fields)
    job = await api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job_id


async def scored(api: Api, *scores: float, **fields: Any) -> str:
    """A completed job whose documents got these scores under ``acc``."""
    args = {**SCORED, "scores": "/".join(map(str, scores))}
    return await completed(api, model_args=args, **fields)


async def compare(api: Api, *job_ids: str, status: int = 200) -> Json:
    """What the route answers."""
    query = "&".join(f"job={job_id}" for job_id in job_ids)
    body: Json = await api.call("GET", f"/compare?{query}", status)
    return body


async def difference(api: Api, baseline: str, other: str) -> Json:
    """The difference of ``acc``, the only number."""
    [row] = (await compare(api, baseline, other))["rows"]
    found: Json = row["values"][1]["difference"]
    return found


async def test_a_row_has_every_jobs_number_and_its_difference_from_the_first(api: Api) -> None:
    first = await completed(api, model_args={"value": 0.5})
    second = await completed(api, model_args={"value": 0.6})

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


async def test_documents_that_both_have_are_paired(api: Api) -> None:
    first = await scored(api, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0)
    second = await scored(api, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1)

    found = await difference(api, first, second)

    assert (found["method"], found["n"]) == ("paired", 10)
    assert (found["value"], found["stderr"]) == pytest.approx((0.2, 0.2))


async def test_without_samples_the_standard_errors_are_taken(api: Api) -> None:
    first = await scored(api, 1, 0)
    second = await scored(api, 1, 1, log_samples=False)

    found = await difference(api, first, second)

    assert found["method"] == "unpaired"
    assert found["note"] == f"Not paired: job {second} has no samples of mme."


async def test_samples_that_do_not_come_to_the_number_are_not_paired(api: Api) -> None:
    first = await completed(api)
    second = await completed(api)

    found = await difference(api, first, second)

    assert found["note"] == "Not paired: the samples have no scores for acc."


async def test_samples_that_somebody_removed_are_not_paired(api: Api) -> None:
    first, second = await scored(api, 1, 0), await scored(api, 1, 1)
    job = await api.job(second)
    [path] = job["result"]["dummy"]["samples"]
    Path(path).unlink()

    found = await difference(api, first, second)

    assert found["note"] == f"Not paired: the samples of job {second} were removed."


async def test_other_documents_under_the_same_ids_are_not_paired(api: Api) -> None:
    first, second = await scored(api, 1, 0), await scored(api, 1, 1)
    [path] = (await api.job(second))["result"]["dummy"]["samples"]
    samples = [json.loads(line) for line in Path(path).read_text().splitlines()]
    Path(path).write_text("".join(json.dumps({**s, "doc_hash": "new"}) + "\n" for s in samples))

    found = await difference(api, first, second)

    assert found["note"] == "Not paired: the two have different documents with the same id."


async def test_each_filter_is_compared_by_itself(api: Api) -> None:
    jobs = [await completed(api, model_args={"behave": "judge"}) for _ in range(2)]

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


async def test_a_number_that_only_one_has_is_told_without_a_difference(api: Api) -> None:
    first = await completed(api, tasks=["mme"])
    second = await completed(api, tasks=["ai2d"])

    rows = (await compare(api, first, second))["rows"]

    told = [(row["task"], [value["value"] for value in row["values"]]) for row in rows]
    assert told == [("ai2d", [None, 0.5]), ("mme", [0.5, None])]
    assert {value["difference"] for row in rows for value in row["values"]} == {None}


async def test_several_jobs_are_compared_with_the_first(api: Api) -> None:
    jobs = [await completed(api, model_args={"value": value}) for value in (0.5, 0.6, 0.4)]

    body = await compare(api, *jobs)

    [row] = body["rows"]
    assert [each["job_id"] for each in body["jobs"]] == jobs
    assert [value["job_id"] for value in row["values"]] == jobs
    assert row["values"][2]["difference"]["value"] == pytest.approx(-0.1)


async def test_how_differences_were_computed_is_told_with_its_source(api: Api) -> None:
    jobs = [await completed(api), await completed(api)]

    methods = (await compare(api, *jobs))["methods"]

    assert methods.keys() == {"paired", "unpaired", "bare"}
    assert "arxiv.org/abs/2411.00640" in methods["paired"]["source"]


async def test_a_job_that_has_no_results_yet_is_409(api: Api) -> None:
    done = await completed(api)
    running = await api.submit(model_args=HANG)

    await compare(api, done, running, status=409)


async def test_a_job_that_never_was_is_404(api: Api) -> None:
    await compare(api, await completed(api), str(uuid.uuid4()), status=404)


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([], "Missing data for required field."),
        (["a"], "Must be given 2 to 10 times, once per job."),
        ([str(number) for number in range(11)], "Must be given 2 to 10 times, once per job."),
        (["a", "b", "a"], "Must be different jobs."),
    ],
)
async def test_too_few_too_many_or_the_same_jobs_are_refused(
    api: Api, jobs: list[str], message: str
) -> None:
    problem = await compare(api, *jobs, status=422)

    assert [error["message"] for error in problem["errors"]] == [message]
