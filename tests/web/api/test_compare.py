"""``GET /compare``: differences between the metrics of completed jobs."""

import json
import uuid
from collections.abc import Callable
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


async def change_samples(api: Api, job_id: str, changed: Callable[[Json], Json]) -> None:
    """Change values of each sample of a job."""
    [path] = (await api.job(job_id))["result"]["dummy"]["samples"]
    samples = [json.loads(line) for line in Path(path).read_text().splitlines()]
    Path(path).write_text("".join(json.dumps({**s, **changed(s)}) + "\n" for s in samples))


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


async def test_documents_that_changed_are_counted_and_tested(api: Api) -> None:
    first = await run_scored(api, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0)
    second = await run_scored(api, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1)

    found = await difference(api, first, second)

    assert (found["right_to_wrong"], found["wrong_to_right"]) == (1, 3)
    assert (found["test"], found["p_value"]) == ("mcnemar", pytest.approx(0.625))


async def test_a_regression_is_named(api: Api) -> None:
    first = await run_scored(api, *[1] * 12)
    second = await run_scored(api, *[0] * 10, 1, 1)

    body = await compare(api, first, second)

    assert body["regressions"] == [
        {
            "job_id": second,
            "tested": 1,
            "regressed": [{"task": "mme", "metric": "acc", "filter": "none"}],
        }
    ]


async def test_p_values_are_adjusted_for_the_number_of_metrics_of_the_job(api: Api) -> None:
    tasks = ["mme", "ai2d", "mmmu_val"]
    first = await run_scored(api, *[1] * 12, tasks=tasks)
    second = await run_scored(api, *[0] * 6, *[1] * 6, tasks=tasks)

    body = await compare(api, first, second)

    # Six documents became wrong: p = 1/32, of three tasks 3/32.
    found = [row["values"][1]["difference"] for row in body["rows"]]
    assert [each["p_value"] for each in found] == pytest.approx([1 / 32] * 3)
    assert [each["p_adjusted"] for each in found] == pytest.approx([3 / 32] * 3)
    assert [(each["tested"], each["regressed"]) for each in body["regressions"]] == [(3, [])]


async def test_an_improvement_is_no_regression(api: Api) -> None:
    first, second = await run_scored(api, *[0] * 12), await run_scored(api, *[1] * 12)

    [found] = (await compare(api, first, second))["regressions"]

    assert found["regressed"] == []


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
    await change_samples(api, second, lambda sample: {"doc_hash": "new"})

    found = await difference(api, first, second)

    assert found["note"] == "Not paired: the two have different documents with the same id."


@pytest.mark.parametrize("naming", [(0,), (1,), (0, 1)])
async def test_documents_whose_samples_name_a_cluster_are_not_independent(
    api: Api, naming: tuple[int, ...]
) -> None:
    jobs = [await run_scored(api, 1, 0, 1, 1, 0), await run_scored(api, 1, 1, 1, 1, 1)]
    for index in naming:
        await change_samples(api, jobs[index], lambda sample: {"cluster": sample["doc_id"] // 2})

    found = await difference(api, *jobs)

    # 0 1, 0 0, 1 less 0.4 each: sums 0.2 -0.8 0.6; sqrt(3/2 * 1.04) / 5
    assert (found["clusters"], found["stderr"]) == (3, pytest.approx(1.56**0.5 / 5))


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

    body = await compare(api, *jobs)

    assert body["methods"].keys() == {"paired", "unpaired", "bare"}
    assert "arxiv.org/abs/2411.00640" in body["methods"]["paired"]["source"]
    assert body["tests"].keys() == {"mcnemar", "normal", "sign"}
    assert body["correction"]["formula"].startswith("Holm: ")


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
