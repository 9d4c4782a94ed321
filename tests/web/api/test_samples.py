"""``GET /jobs/{job_id}/samples/{task}``: the model's answers, page by page."""

import json
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from evalserver.outputs import SamplesPage, read_page
from tests.conftest import MakeApi
from tests.support import Api, Json

JUDGE = {"behave": "judge"}


@pytest.fixture
async def job(api: Api) -> Json:
    """A completed job whose samples were judged: four documents for each of two filters."""
    return await api.finished(await api.submit(model_args=JUDGE))


async def samples(
    api: Api, job: Json, query: str = "", status: int = 200, task: str = "mme"
) -> Any:
    """Return the response of the route."""
    return await api.call("GET", f"/jobs/{job['job_id']}/samples/{task}?{query}", status)


async def all_pages(api: Api, job: Json, query: str = "") -> list[Json]:
    """Fetch every page by following the cursors."""
    pages = [await samples(api, job, query)]
    while (cursor := pages[-1]["next"]) is not None:
        pages.append(await samples(api, job, f"{query}&cursor={cursor}"))
    return pages


async def message(api: Api, job: Json, query: str) -> str:
    """Return the error message for the query."""
    [error] = (await samples(api, job, query, 422))["errors"]
    return str(error["message"])


def samples_file(job: Json) -> Path:
    """Return the path of the harness's samples file."""
    return Path(job["result"]["dummy"]["samples"][0])


def replace_samples(job: Json, lines: list[Json]) -> None:
    """Replace the samples that the harness wrote."""
    samples_file(job).write_text("".join(f"{json.dumps(line)}\n" for line in lines))


async def test_a_sample_is_what_the_harness_wrote(api: Api, job: Json) -> None:
    body = await samples(api, job)

    written = [json.loads(line) for line in samples_file(job).read_text().splitlines()]
    assert [each["sample"] for each in body["samples"]] == written


async def test_a_sample_has_its_index_document_and_correctness(api: Api, job: Json) -> None:
    body = await samples(api, job)

    rows = [(each["index"], each["doc_id"], each["right"]) for each in body["samples"]]
    assert rows[3:6] == [(3, 3, True), (4, 0, False), (5, 1, True)]


async def test_a_page_names_its_job_task_and_metric(api: Api, job: Json) -> None:
    body = await samples(api, job)

    del body["samples"]
    assert body == {
        "job_id": job["job_id"],
        "attempt": 1,
        "task": "mme",
        "metric": "acc",
        "undecided": 0,
        "findings": [],
        "next": None,
    }


async def test_a_page_says_that_samples_are_missing(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"written": 2}))

    body = await samples(api, job)

    text = "2 of 4 samples were written; the metrics count all of them"
    finding = {"task": "mme", "code": "missing_samples", "message": text}
    assert body["findings"] == job["result_check"]["findings"] == [finding]


async def test_numbers_are_preserved_exactly(api: Api, job: Json) -> None:
    samples_file(job).write_text(
        '{"doc_id": 0, "seed": 123456789012345678901234567890, "p": 1e-400}\n'
    )

    async with api._session.get(f"/jobs/{job['job_id']}/samples/mme") as response:
        assert '"seed": 123456789012345678901234567890, "p": 1e-400}' in await response.text()


async def test_pages_cover_all_samples(api: Api, job: Json) -> None:
    pages = await all_pages(api, job, "limit=3")

    assert [[each["index"] for each in page["samples"]] for page in pages] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7],
    ]


async def test_a_page_links_to_the_next_with_the_same_query(api: Api, job: Json) -> None:
    async with api._session.get(
        f"/jobs/{job['job_id']}/samples/mme?limit=1&only=wrong"
    ) as response:
        link = response.links["next"]["url"]

    following = await api.call("GET", str(link.relative()))

    assert [each["index"] for each in following["samples"]] == [2]


async def test_the_last_page_has_no_next_link(api: Api, job: Json) -> None:
    async with api._session.get(f"/jobs/{job['job_id']}/samples/mme") as response:
        assert "Link" not in response.headers


async def test_a_page_has_50_samples_by_default(api: Api, job: Json) -> None:
    replace_samples(job, [{"doc_id": number} for number in range(60)])

    assert len((await samples(api, job))["samples"]) == 50


@pytest.mark.parametrize(("only", "indexes"), [("wrong", [0, 2, 4, 6]), ("right", [1, 3, 5, 7])])
async def test_samples_are_filtered_by_correctness(
    api: Api, job: Json, only: str, indexes: list[int]
) -> None:
    body = await samples(api, job, f"only={only}")

    assert [each["index"] for each in body["samples"]] == indexes


async def test_incorrect_samples_of_one_filter(api: Api, job: Json) -> None:
    body = await samples(api, job, "only=wrong&metric=acc&filter=loose")

    assert [each["index"] for each in body["samples"]] == [4, 6]


async def test_a_single_filter_need_not_be_named(api: Api) -> None:
    job = await api.finished(await api.submit())
    replace_samples(job, [{"doc_id": 0, "acc": 1.0}])

    body = await samples(api, job, "only=right&filter=none")

    assert len(body["samples"]) == 1


@pytest.mark.parametrize("metric", ["f1", "loss"])
async def test_a_metric_that_is_not_a_judgement_is_rejected_and_the_valid_ones_listed(
    api: Api, job: Json, metric: str
) -> None:
    error = await message(api, job, f"only=wrong&metric={metric}")

    assert error.startswith(f"{metric} does not decide which samples are right")
    assert error.endswith("Possible metrics of this task: acc.")


async def test_filtering_by_correctness_without_a_judging_metric_is_rejected(
    api: Api, job: Json
) -> None:
    replace_samples(job, [{"doc_id": 0, "acc": 0.25, "f1": 0.5}])

    assert await message(api, job, "only=wrong") == (
        "No metric of mme decides which samples are right."
    )


async def test_all_samples_are_available_without_a_judging_metric(api: Api, job: Json) -> None:
    replace_samples(job, [{"doc_id": 0, "acc": 0.25}])

    body = await samples(api, job)

    assert (body["metric"], body["samples"][0]["right"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("metric=bleu", "The task mme has no metric 'bleu'; it has acc, f1, loss."),
        ("filter=none", "The task mme has no filter 'none'; it has loose, strict."),
        ("only=neither", "Must be right or wrong."),
        ("limit=0", "Must be an integer from 1 to 500."),
        ("limit=501", "Must be an integer from 1 to 500."),
        ("limit=-1", "Must be an integer from 1 to 500."),
        ("limit=1e2", "Must be an integer from 1 to 500."),
        ("limit=%D9%A3", "Must be an integer from 1 to 500."),
        (f"limit={'9' * 5000}", "Must be an integer from 1 to 500."),
        ("onyl=wrong", "Unknown field. Did you mean 'only'?"),
    ],
)
async def test_an_invalid_query_is_rejected_with_the_allowed_values(
    api: Api, job: Json, query: str, says: str
) -> None:
    assert await message(api, job, query) == says


@pytest.mark.parametrize(
    "cursor", ["", "x", "!", "AAAA", "%FF", "MC4xLjAuMA", "A" * 200, "%C3%A9", "=", "===="]
)
async def test_an_invalid_cursor_is_rejected(api: Api, job: Json, cursor: str) -> None:
    body = await samples(api, job, f"cursor={cursor}", 422)

    assert [error["field"] for error in body["errors"]] == ["cursor"]


async def test_a_cursor_of_other_samples_is_rejected(api: Api, job: Json) -> None:
    other = await api.finished(await api.submit(model_args=JUDGE))
    cursor = (await samples(api, other, "limit=1"))["next"]

    error = await message(api, job, f"cursor={cursor}")

    assert error == "Must be the 'next' of a page of the same samples; leave it out to start again."


async def test_a_cursor_is_invalid_after_a_new_attempt(api: Api, job: Json) -> None:
    cursor = (await samples(api, job, "limit=1"))["next"]
    await api.call("POST", f"/jobs/{job['job_id']}/retry")
    again = await api.finished(job["job_id"])

    await samples(api, again, f"cursor={cursor}", 422)


async def test_an_unknown_task_is_404_and_lists_the_tasks(api: Api) -> None:
    job = await api.finished(await api.submit(tasks=["mme", "ai2d"]))

    problem = await samples(api, job, "", 404, task="mmee")

    assert problem["detail"] == (
        f"Job {job['job_id']} has no samples of 'mmee'; it has those of ai2d, mme. "
        "Samples of a group of tasks are stored per task"
    )


@pytest.mark.parametrize("task", ["..", "%2e%2e", "..%2fx", "%ff", "a%2Fb"])
async def test_a_task_is_a_name_not_a_path(api: Api, job: Json, task: str) -> None:
    await samples(api, job, "", 404, task=task.replace("%", "%25") if task == ".." else task)


async def test_a_job_without_samples_is_404_with_the_reason(api: Api) -> None:
    job = await api.finished(await api.submit(log_samples=False))

    problem = await samples(api, job, "", 404)

    assert problem["detail"].endswith("has no samples: its request has log_samples false")


async def test_an_unfinished_job_is_409(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "hang"})

    problem = await samples(api, {"job_id": job_id}, "", 409)

    assert problem["detail"].endswith("it has results once it is completed")


async def test_an_unknown_job_is_404(api: Api) -> None:
    await samples(api, {"job_id": str(uuid.uuid4())}, "", 404)


async def test_a_pruned_job_is_410(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await api.submit()
    await api.finished(await api.submit())

    await samples(api, {"job_id": pruned}, "", 410)


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_removed_samples_are_410(api: Api, job: Json, kind: str) -> None:
    if kind == "file":
        samples_file(job).unlink()
    else:
        shutil.rmtree(job["output_dir"])

    problem = await samples(api, job, "", 410)

    assert "were removed after the evaluation" in problem["detail"]


async def test_samples_replaced_by_a_link_are_410(api: Api, job: Json, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"secret": 1}\n')
    samples_file(job).unlink()
    samples_file(job).symlink_to(tmp_path / "secret")

    await samples(api, job, "", 410)


async def test_samples_in_a_client_chosen_directory(api: Api, tmp_path: Path) -> None:
    job = await api.finished(
        await api.submit(model_args=JUDGE, output_dir=str(tmp_path / "results"))
    )

    assert len((await samples(api, job))["samples"]) == 8


async def test_head_matches_get_without_a_body(api: Api, job: Json) -> None:
    async with api._session.head(f"/jobs/{job['job_id']}/samples/mme") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_a_page_is_not_built_on_the_event_loop(
    api: Api, job: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def recording_read_page(*arguments: Any) -> SamplesPage:
        threads.append(threading.current_thread())
        return read_page(*arguments)

    monkeypatch.setattr("evalserver.web.api.samples.read_page", recording_read_page)

    await samples(api, job)

    assert threads != [threading.main_thread()]
