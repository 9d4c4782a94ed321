"""``series`` and ``step`` of a job: of the request, or of labels of these names."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from evalserver.core.request import MAX_STEP
from tests.conftest import MakeApi
from tests.support import Api, Json, request
from tests.web.answers import fetch


async def submitted(api: Api, **fields: Any) -> Json:
    """Submit a job, and return it."""
    return await api.job(await api.submit(**fields))


async def listed_ids(api: Api, query: str) -> list[str]:
    """Return the ids of the jobs on one page."""
    return [job["job_id"] for job in (await api.call("GET", f"/jobs?{query}"))["jobs"]]


async def test_a_job_has_the_series_and_the_step_of_its_request(api: Api) -> None:
    job = await submitted(api, series="run", step=100)

    assert (job["series"], job["step"], job["labels"]) == ("run", 100, {})


async def test_labels_of_these_names_are_taken_over_and_stay(api: Api) -> None:
    labels = {"series": "run", "step": "100", "team": "a"}

    job = await submitted(api, labels=labels)

    assert (job["series"], job["step"]) == ("run", 100)
    assert (job["request"]["series"], job["request"]["step"]) == ("run", 100)
    assert job["labels"] == labels


async def test_a_field_goes_before_a_label(api: Api) -> None:
    job = await submitted(api, series="a", step=0, labels={"series": "b", "step": "2"})

    assert (job["series"], job["step"]) == ("a", 0)


async def test_a_step_that_is_no_integer_stays_a_label(api: Api) -> None:
    job = await submitted(api, labels={"series": "run", "step": "last"})

    assert (job["series"], job["step"]) == ("run", None)


@pytest.mark.parametrize("step", [-1, MAX_STEP + 1, 1.0, "1", True])
async def test_a_step_is_an_integer_from_0_to_the_largest_exact_one(api: Api, step: Any) -> None:
    answer = await fetch(api, "POST", "/evaluate", json=request(step=step))

    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == ["step"]


async def test_jobs_are_found_by_series_and_step(api: Api) -> None:
    first = await api.submit(series="run", step=100)
    second = await api.submit(labels={"series": "run", "step": "200"})
    await api.submit(series="other", step=200)

    assert await listed_ids(api, "series=run") == [second, first]
    assert await listed_ids(api, "series=run&step=100") == [first]


async def test_jobs_are_listed_by_step_over_several_pages(api: Api) -> None:
    jobs = {step: await api.submit(series="run", step=step) for step in (20, 3, 100)}
    without = await api.submit()

    first = await api.call("GET", "/jobs?sort=-step&limit=2")
    rest = await api.call("GET", f"/jobs?sort=-step&limit=2&cursor={first['next']}")

    found = [job["job_id"] for job in (*first["jobs"], *rest["jobs"])]
    assert found == [jobs[100], jobs[20], jobs[3], without]


async def test_a_field_that_says_what_a_label_says_is_the_same_submission(api: Api) -> None:
    headers = {"Idempotency-Key": "key"}
    labels = {"series": "run", "step": "100"}

    old = request(labels=labels)
    new = request(labels=labels, series="run", step=100)
    first = await api.call("POST", "/evaluate", json=old, headers=headers)
    again = await api.call("POST", "/evaluate", json=new, headers=headers)

    assert again == first


async def test_the_trend_of_a_series_has_jobs_with_fields_alone(api: Api) -> None:
    job = await api.finished(await api.submit(series="run", step=100))

    page = await api.text("/ui/trends?series=run")

    assert job["job_id"] in page


async def hang(api: Api) -> None:
    """Occupy the only slot, so that later jobs stay queued."""
    await api.when(await api.submit(model_args={"behave": "hang"}), "running")


async def test_a_newer_step_supersedes_what_is_queued(api: Api) -> None:
    await hang(api)
    older = await api.submit(series="run", step=100)

    newer = await api.submit(series="run", step=200, on_newer="supersede")

    job = await api.job(older)
    assert (job["status"], job["error"]) == ("cancelled", f"Superseded by job {newer} of step 200")
    assert (await api.call("GET", "/queue"))["queued_jobs"] == [newer]


async def test_a_newer_step_with_labels_alone_supersedes(api: Api) -> None:
    await hang(api)
    older = await api.submit(labels={"series": "run", "step": "100"})

    labels = {"series": "run", "step": "200"}
    await api.submit(labels=labels, on_newer="supersede")

    assert (await api.job(older))["status"] == "cancelled"


async def test_a_batch_supersedes(api: Api) -> None:
    await hang(api)
    older = await api.submit(series="run", step=100)

    job = request(series="run", step=200, on_newer="supersede")
    await api.call("POST", "/batches", json={"jobs": [job]})

    assert (await api.job(older))["status"] == "cancelled"


@pytest.mark.parametrize("lacking", [{"series": "run"}, {"step": 1}, {}])
async def test_what_supersedes_needs_series_and_step(api: Api, lacking: Json) -> None:
    body = request(on_newer="supersede", **lacking)

    answer = await fetch(api, "POST", "/evaluate", json=body)

    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == ["on_newer"]


async def test_superseded_jobs_count_as_finished_ones(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    await hang(api)
    jobs = [await api.submit(series="run", step=step, on_newer="supersede") for step in (1, 2, 3)]

    first = await fetch(api, "GET", f"/jobs/{jobs[0]}")

    assert first.status == 410
    assert (await api.job(jobs[1]))["status"] == "cancelled"


SERIES_TABLES = {"run-*": {"max_waiting": 2}, "*": {"max_waiting": 1}}


async def test_a_submission_to_a_full_series_is_to_be_sent_later(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES)
    await hang(api)
    waiting = [await api.submit(series="run-1", step=step) for step in (1, 2)]

    answer = await fetch(api, "POST", "/evaluate", json=request(series="run-1", step=3))

    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    assert answer.json["detail"] == (
        "As many jobs of the series 'run-1' wait as the operator allows (max_waiting is 2);"
        " nothing was accepted, try again later"
    )
    assert (await api.call("GET", "/queue"))["queued_jobs"] == waiting


async def test_a_full_series_accepts_what_supersedes_a_job_of_it(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES, max_queued_jobs=2)
    await hang(api)
    waiting = [await api.submit(series="run-1", step=step) for step in (1, 2)]

    newest = await api.submit(series="run-1", step=3, on_newer="supersede")

    assert (await api.call("GET", "/queue"))["queued_jobs"] == [newest]
    assert [(await api.job(each))["status"] for each in waiting] == ["cancelled"] * 2


async def test_the_first_table_that_matches_applies(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES)
    await hang(api)
    await api.submit(series="other")
    await api.submit(series="run-1")
    await api.submit()

    statuses = [
        (await fetch(api, "POST", "/evaluate", json=request(series=name))).status
        for name in ("other", "run-1", None)
    ]

    assert statuses == [429, 200, 200]


async def test_a_submission_to_a_full_series_can_be_skipped(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES)
    await hang(api)
    waiting = await api.submit(series="other")
    headers = {"Idempotency-Key": "key"}
    body = request(series="other", on_full="skip")

    answer = await api.call("POST", "/evaluate", json=body, headers=headers)

    assert (answer["job_id"], answer["status"], answer["position_in_queue"]) == (
        None,
        "skipped",
        None,
    )
    assert answer["message"] == (
        "Skipped: As many jobs of the series 'other' wait as the operator allows (max_waiting is"
        " 1); nothing was accepted, try again later"
    )
    await api.call("DELETE", f"/jobs/{waiting}")
    later = await api.call("POST", "/evaluate", json=body, headers=headers)
    assert later["status"] == "queued"


async def test_a_batch_beyond_the_limit_of_its_series_is_rejected(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES)
    await hang(api)
    jobs = [request(series="run-1", step=step, on_full="skip") for step in (1, 2, 3)]

    answer = await fetch(api, "POST", "/batches", json={"jobs": jobs})

    assert answer.status == 429
    assert (await api.call("GET", "/queue"))["queued_jobs"] == []


async def test_what_is_superseded_does_not_count(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES)
    await hang(api)
    older = await api.submit(series="other", step=1)

    newer = await api.submit(series="other", step=2, on_newer="supersede")

    assert (await api.call("GET", "/queue"))["queued_jobs"] == [newer]
    assert (await api.job(older))["status"] == "cancelled"


async def test_a_full_series_keeps_no_other_submission_away(make_api: MakeApi) -> None:
    api = await make_api(series=SERIES_TABLES)
    await hang(api)
    bodies = [request(series="run-1"), request(), request(series="run-1")] * 5

    answers = await asyncio.gather(*(fetch(api, "POST", "/evaluate", json=body) for body in bodies))

    assert Counter(each.status for each in answers) == {200: 7, 429: 8}


async def test_the_newest_steps_of_a_series_are_evaluated_first(make_api: MakeApi) -> None:
    api = await make_api(series={"run": {"newest_first": True}})
    await api.call("POST", "/drain")
    fields = [{"series": "run", "step": 1}, {}, {"series": "run", "step": 2}]
    oldest, other, newest = [await api.submit(**each) for each in fields]

    queued = (await api.call("GET", "/queue"))["queued_jobs"]
    await api.call("POST", "/resume")
    jobs = [await api.finished(job_id) for job_id in (newest, other, oldest)]

    assert queued == [newest, other, oldest]
    assert sorted(jobs, key=lambda job: str(job["started_at"])) == jobs


async def test_without_the_operators_rule_the_order_is_that_of_submission(api: Api) -> None:
    await api.call("POST", "/drain")

    jobs = [await api.submit(series="run", step=step) for step in (1, 2)]

    assert (await api.call("GET", "/queue"))["queued_jobs"] == jobs
