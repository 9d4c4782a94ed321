"""``GET /compare/samples/{task}``: the samples of two jobs side by side."""

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalserver.outputs import SampleDiff, sample_index
from evalserver.web.api import compare_samples, sample_sides
from tests.support import Api, Json
from tests.web.api.test_compare import change_samples, run_completed, run_scored

JUDGE = {"behave": "judge"}
OTHER = {"doc_hash": "another", "input": "Something else?"}
"""Of a sample of another document."""


async def compared(api: Api, first: str, second: str, query: str = "", status: int = 200) -> Json:
    """Return the response of the route."""
    path = f"/compare/samples/mme?job={first}&job={second}&{query}"
    body: Json = await api.call("GET", path, status)
    return body


async def fault(api: Api, first: str, second: str, query: str) -> tuple[str, str]:
    """Return the field and the message of a rejected query."""
    [error] = (await compared(api, first, second, query, 422))["errors"]
    return error["field"], error["message"]


def shown(body: Json) -> list[tuple[Any, ...]]:
    """Return the change and the ids of each document."""
    return [
        (each["change"], *(each[name] and each[name]["doc_id"] for name in ("baseline", "job")))
        for each in body["documents"]
    ]


async def samples_path(api: Api, job_id: str) -> Path:
    """Return the samples file of a job."""
    return Path((await api.job(job_id))["result"]["dummy"]["samples"][0])


async def test_flips_come_first(api: Api) -> None:
    first, second = await run_scored(api, 1, 0, 1, 0), await run_scored(api, 1, 1, 0, 0)

    body = await compared(api, first, second)

    assert shown(body) == [
        ("right_to_wrong", 2, 2),
        ("wrong_to_right", 1, 1),
        ("both_wrong", 3, 3),
        ("both_right", 0, 0),
    ]
    assert {name: count for name, count in body["counts"].items() if count} == {
        "right_to_wrong": 1, "wrong_to_right": 1, "both_wrong": 1, "both_right": 1,
    }  # fmt: skip


async def test_a_document_has_the_samples_of_both_as_the_harness_wrote_them(api: Api) -> None:
    first, second = await run_scored(api, 1, 1), await run_scored(api, 0, 1)

    [document, _] = (await compared(api, first, second))["documents"]

    for name, job_id, right in (("baseline", first, True), ("job", second, False)):
        lines = (await samples_path(api, job_id)).read_text().splitlines()
        assert document[name] == {
            "index": 0, "doc_id": 0, "right": right, "score": float(right), "problem": None,
            "sample": json.loads(lines[0]),
        }  # fmt: skip
    assert document["paired_by"] == "id"


async def test_both_jobs_are_described_with_what_judges_them(api: Api) -> None:
    first, second = await run_scored(api, 1, 1), await run_scored(api, 0, 1)

    body = await compared(api, first, second)

    assert body["jobs"] == [
        {
            "job_id": job_id, "attempt": 1, "engine": "lmms_eval", "model": "dummy", "task": "mme",
            "metric": "acc", "filter": "none", "samples": 2, "unreadable": 0,
        }
        for job_id in (first, second)
    ]  # fmt: skip
    assert (body["task"], body["paired"], body["warnings"]) == ("mme", 2, [])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("baseline_is=right", [2, 0]),
        ("job_is=right", [1, 0]),
        ("baseline_is=right&job_is=wrong", [2]),
        ("baseline_is=wrong&job_is=right", [1]),
        ("baseline_is=wrong&job_is=wrong", [3]),
        ("baseline_is=any&job_is=any", [2, 1, 3, 0]),
    ],
)
async def test_documents_are_filtered_by_both_jobs(
    api: Api, query: str, expected: list[int]
) -> None:
    first, second = await run_scored(api, 1, 0, 1, 0), await run_scored(api, 1, 1, 0, 0)

    body = await compared(api, first, second, query)

    assert [each["job"]["doc_id"] for each in body["documents"]] == expected
    assert body["selected"] == len(expected)
    assert sum(body["counts"].values()) == 4


async def test_documents_of_one_job_alone_are_listed_as_such(api: Api) -> None:
    first, second = await run_scored(api, 1, 0, 1), await run_scored(api, 1, 0)

    body = await compared(api, first, second, "job_is=missing")

    assert shown(body) == [("only_baseline", 2, None)]
    assert body["documents"][0]["job"] is None
    assert body["documents"][0]["paired_by"] is None


async def test_little_overlap_is_a_warning(api: Api) -> None:
    first, second = await run_scored(api, 1, 0, 1), await run_scored(api, 1, 0, 1)
    await change_samples(api, second, lambda sample: OTHER if sample["doc_id"] else {})

    body = await compared(api, first, second)

    assert body["paired"] == 1
    [warning] = body["warnings"]
    assert warning.startswith("The two jobs have only 1 documents in common, of 3 and 3")


async def test_jobs_without_a_common_document_are_a_warning(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 1, 0)
    await change_samples(api, second, lambda _: OTHER)

    body = await compared(api, first, second)

    assert body["counts"]["only_baseline"] == 2
    assert "no document in common" in body["warnings"][0]


async def test_shuffled_documents_are_paired_by_their_content(api: Api) -> None:
    first, second = await run_scored(api, 1, 0, 0), await run_scored(api, 1, 0, 0)
    await change_samples(api, second, lambda sample: {"doc_id": 10 - sample["doc_id"]})

    body = await compared(api, first, second)

    assert (body["paired"], body["paired_by_content"]) == (3, 3)
    assert shown(body) == [("both_wrong", 1, 9), ("both_wrong", 2, 8), ("both_right", 0, 10)]


async def test_pages_follow_each_other(api: Api) -> None:
    first, second = await run_scored(api, *[1, 0] * 5), await run_scored(api, *[0, 1] * 5)

    whole = await compared(api, first, second, "limit=200")
    pages = [await compared(api, first, second, "limit=3")]
    while (cursor := pages[-1]["next"]) is not None:
        pages.append(await compared(api, first, second, f"limit=3&cursor={cursor}"))

    assert [each for page in pages for each in page["documents"]] == whole["documents"]
    assert [len(page["documents"]) for page in pages] == [3, 3, 3, 1]


async def test_the_next_page_does_not_read_whole_files_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 0, 1)
    cursor = (await compared(api, first, second, "limit=1"))["next"]
    monkeypatch.setattr(sample_index, "MAX_SAMPLES", 0)

    body = await compared(api, first, second, f"limit=1&cursor={cursor}")

    assert shown(body) == [("wrong_to_right", 1, 1)]


async def test_requests_at_once_read_the_files_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def counted(*args: Any) -> SampleDiff:
        calls.append(args)
        return sample_sides.find_diff(*args)

    monkeypatch.setattr(compare_samples, "find_diff", counted)
    first, second = await run_scored(api, 1, 0), await run_scored(api, 0, 1)

    found = await asyncio.gather(*(compared(api, first, second) for _ in range(4)))

    assert found[1:] == found[:-1]
    assert len(calls) == 1


async def test_a_cursor_does_not_fit_other_samples_or_filters(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 0, 1)
    cursor = (await compared(api, first, second, "limit=1"))["next"]

    assert (await fault(api, first, second, f"cursor={cursor}&job_is=right"))[0] == "cursor"
    assert (await fault(api, second, first, f"cursor={cursor}"))[0] == "cursor"

    path = await samples_path(api, second)
    path.write_text(path.read_text() + '{"doc_id": 5}\n')
    assert (await fault(api, first, second, f"cursor={cursor}"))[0] == "cursor"


async def test_scores_that_are_more_than_right_and_wrong_are_ordered(api: Api) -> None:
    first, second = await run_scored(api, 0.5, 0.5, 0.5), await run_scored(api, 0.5, 0.7, 0.1)

    body = await compared(api, first, second)

    assert shown(body) == [("lower", 2, 2), ("higher", 1, 1), ("equal", 0, 0)]
    assert body["documents"][0]["job"] == {
        **body["documents"][0]["job"],
        "right": None,
        "score": 0.1,
    }
    field, message = await fault(api, first, second, "job_is=right")
    assert (field, message) == ("job_is", "No metric of mme decides which samples are right.")


async def test_the_metric_and_the_filter_can_be_chosen(api: Api) -> None:
    first, second = [await run_completed(api, model_args=JUDGE) for _ in range(2)]
    kinds = {row["filter"] for row in (await api.call("GET", f"/jobs/{first}/results"))["results"]}
    last = max(kinds)

    body = await compared(api, first, second, f"metric=acc&filter={last}&job_filter={min(kinds)}")

    assert [(each["metric"], each["filter"]) for each in body["jobs"]] == [
        ("acc", last), ("acc", min(kinds)),
    ]  # fmt: skip
    assert [each["samples"] for each in body["jobs"]] == [4, 4]
    assert body["warnings"] == [
        f"The jobs are judged by different metrics or filters: acc ({last}) and acc ({min(kinds)})"
    ]


@pytest.mark.parametrize("field", ["metric", "filter", "job_metric", "job_filter"])
async def test_an_unknown_metric_or_filter_is_rejected(api: Api, field: str) -> None:
    first, second = await run_scored(api, 1), await run_scored(api, 1)

    found, message = await fault(api, first, second, f"{field}=nothing")

    assert found == field
    assert message.endswith("has, for the task mme: " + ("acc." if "metric" in field else "none."))


async def test_the_second_job_may_call_the_task_otherwise(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 0, 0, tasks=["ai2d"])

    body = await compared(api, first, second, "job_task=ai2d")

    assert [each["task"] for each in body["jobs"]] == ["mme", "ai2d"]
    assert shown(body) == [("right_to_wrong", 0, 0), ("both_wrong", 1, 1)]


async def test_lines_that_cannot_be_read_are_a_warning(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 1, 0)
    path = await samples_path(api, second)
    path.write_text(path.read_text()[:-5])

    body = await compared(api, first, second)

    assert body["counts"]["only_baseline"] == 1
    assert body["warnings"] == [f"1 lines of the samples of job {second} cannot be read"]


async def test_samples_of_which_nothing_can_be_read_are_listed_as_of_one_job(api: Api) -> None:
    first, second = await run_scored(api, 1, 0), await run_scored(api, 1, 0)
    (await samples_path(api, second)).write_bytes(b"\xff\x00garbage\n" * 50)

    body = await compared(api, first, second)

    assert (body["paired"], body["counts"]["only_baseline"]) == (0, 2)


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        (Path.unlink, 409, "no longer exists"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), 409, "no longer exists"),
    ],
    ids=["removed", "replaced by a link"],
)
async def test_samples_that_are_gone_are_an_error(
    api: Api, change: Callable[[Path], Any], status: int, detail: str
) -> None:
    first, second = await run_scored(api, 1), await run_scored(api, 1)
    change(await samples_path(api, second))

    body = await compared(api, first, second, status=status)

    assert detail in body["detail"]


async def test_jobs_without_samples_are_not_compared(api: Api) -> None:
    first, second = await run_scored(api, 1), await run_scored(api, 1, log_samples=False)

    body = await compared(api, first, second, status=404)

    assert body["detail"] == f"Job {second} has no samples: its request has log_samples false"


async def test_jobs_must_exist_and_be_completed(api: Api) -> None:
    first = await run_scored(api, 1)
    running = await api.submit(model_args={"behave": "hang"})

    await compared(api, first, str(uuid.uuid4()), status=404)
    await compared(api, first, running, status=409)
    await api.call("DELETE", f"/jobs/{running}")


async def test_two_different_jobs_are_needed(api: Api) -> None:
    first = await run_scored(api, 1)

    assert await fault(api, first, first, "") == ("job", "Must be different jobs.")
    body = await api.call("GET", f"/compare/samples/mme?job={first}", 422)
    assert body["errors"][0]["message"] == "Must be given 2 times, once per job."
