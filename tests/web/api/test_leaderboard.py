"""``GET /leaderboard``: models by tasks."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from evalserver.web.api import leaderboard_board, leaderboard_tests
from tests.support import Api, Json
from tests.web.api.test_compare import run_completed

WORSE = [0] * 30 + [1] * 10
BETTER = [1] * 40
NEARLY = [1] * 39 + [0]


async def run(api: Api, model: str, *scores: float, **fields: Any) -> str:
    """Run a job of a model to completion whose documents get these scores."""
    args = {"behave": "scores", "scores": "/".join(map(str, scores)), "pretrained": model}
    return await run_completed(api, model_args=args, **fields)


async def board(api: Api, query: str = "", status: int = 200) -> Json:
    """Return the response of the route."""
    body: Json = await api.call("GET", f"/leaderboard?{query}", status)
    return body


def values(body: Json) -> dict[str, list[float | None]]:
    """Return the numbers of each row."""
    return {
        entry["name"]: [cell and cell["value"] for cell in entry["cells"]]
        for entry in body["entries"]
    }


async def test_models_are_rows_and_tasks_are_columns_the_best_first(api: Api) -> None:
    await run(api, "base", 1, 0, tasks=["mme", "ai2d"])
    await run(api, "sft", 1, 1, tasks=["mme"])
    await run(api, "dpo", 1, 1, tasks=["mme", "ai2d"])

    body = await board(api)

    assert [(each["task"], each["metric"], each["entries"]) for each in body["columns"]] == [
        ("ai2d", "acc", 2), ("mme", "acc", 3),
    ]  # fmt: skip
    assert list(values(body).items()) == [
        ("dpo", [1.0, 1.0]), ("base", [0.5, 0.5]), ("sft", [None, 1.0]),
    ]  # fmt: skip


async def test_a_cell_has_its_job_error_and_whether_it_is_the_best(api: Api) -> None:
    job_id = await run(api, "base", 1, 0, step=7, series="run")

    [entry] = (await board(api))["entries"]

    [cell] = entry["cells"]
    assert cell | {"completed_at": ""} == {
        "job_id": job_id, "series": "run", "step": 7, "completed_at": "", "pruned": False,
        "jobs": 1, "value": 0.5, "stderr": pytest.approx(0.3535, abs=1e-3), "n": 2, "best": True,
        "differs": None, "difference": None,
    }  # fmt: skip


async def test_the_latest_job_of_a_model_counts(api: Api) -> None:
    first = await run(api, "base", 1, 0)
    second = await run(api, "base", 1, 0)

    [entry] = (await board(api))["entries"]

    assert first != second
    assert (entry["cells"][0]["job_id"], entry["cells"][0]["jobs"]) == (second, 2)


@pytest.mark.parametrize(
    ("query", "step"), [("", 300), ("pick=best", 200), ("pick=step&step=100", 100)]
)
async def test_of_a_series_the_highest_step_counts_the_best_or_a_chosen_one(
    api: Api, query: str, step: int
) -> None:
    for at, scores in ((300, [1, 0]), (100, [0, 0]), (200, [1, 1])):
        await run(api, f"ckpt-{at}", *scores, series="run", step=at)
    await run(api, "other", 1, 1)

    [entry] = (await board(api, f"by=series&{query}"))["entries"]

    assert (entry["name"], entry["cells"][0]["step"]) == ("run", step)


async def test_models_of_one_name_with_other_arguments_are_rows_of_their_own(api: Api) -> None:
    await run_completed(api, model_args={"pretrained": "base", "value": 0.5})
    await run_completed(api, model_args={"pretrained": "base", "value": 0.6, "peft": "adapter"})
    await run_completed(
        api, model_args={"pretrained": "base", "value": 0.5, "base_url": "http://a"}
    )

    body = await board(api)

    rows = [(entry["name"], entry["arguments"]) for entry in body["entries"]]
    assert rows == [("base", {"value": 0.6, "peft": "adapter"}), ("base", {"value": 0.5})]


async def test_secrets_of_model_arguments_are_not_shown(api: Api) -> None:
    for name in ("a", "b"):
        key = f"sk-{name * 30}"
        await run_completed(api, model_args={"pretrained": "base", "auth_token": key, "x": name})

    body = await board(api)

    assert "sk-" not in str(body)
    assert {entry["arguments"]["x"] for entry in body["entries"]} == {"a", "b"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"limit": 10}),
        ({"limit": 10}, {"limit": 0.5}),
        ({"num_fewshot": 0}, {"num_fewshot": 5}),
        ({}, {"harness_args": {"apply_chat_template": True}}),
    ],
    ids=["limit", "fraction", "examples", "options"],
)
async def test_numbers_that_are_not_comparable_are_in_columns_of_their_own(
    api: Api, first: Json, second: Json
) -> None:
    await run(api, "one", 1, 0, **first)
    await run(api, "other", 1, 1, **second)

    body = await board(api)

    assert [each["task"] for each in body["columns"]] == ["mme", "mme"]
    assert all(row.count(None) == 1 for row in values(body).values())
    assert body["warnings"] == [
        "Evaluated in several ways (engine, limit, version, examples or options), which are not"
        " comparable and have a column each: mme (2)"
    ]
    assert all(cell is None or cell["best"] for each in body["entries"] for cell in each["cells"])


async def test_one_warning_names_all_tasks_whose_numbers_of_documents_differ(api: Api) -> None:
    tasks = ["mme", "ai2d"]
    await run(api, "all", 1, 1, 1, tasks=tasks)
    await run(api, "fewer", 1, 1, tasks=tasks)

    body = await board(api)

    assert body["warnings"] == [
        "With the same settings, jobs evaluated different numbers of documents, so their data may"
        " differ: ai2d (2 to 3), mme (2 to 3)"
    ]


async def test_who_is_not_shown_to_differ_from_the_best_is_marked(api: Api) -> None:
    await run(api, "best", *BETTER)
    await run(api, "nearly", *NEARLY)
    await run(api, "worse", *WORSE)

    body = await board(api)

    cells = {entry["name"]: entry["cells"][0] for entry in body["entries"]}
    assert {name: (cell["best"], cell["differs"]) for name, cell in cells.items()} == {
        "best": (True, None), "nearly": (False, False), "worse": (False, True),
    }  # fmt: skip
    difference = cells["worse"]["difference"]
    assert (difference["method"], difference["right_to_wrong"]) == ("paired", 30)
    # Two entries were tested against the best.
    assert difference["p_adjusted"] == pytest.approx(2 * difference["p_value"])
    tests = body["tests"]
    assert (tests["paired"], tests["unpaired"], tests["bare"]) == (2, 0, 0)


async def test_without_samples_the_standard_errors_are_used_and_it_says_so(api: Api) -> None:
    await run(api, "best", *BETTER[:20], *NEARLY)
    await run(api, "worse", *WORSE, log_samples=False)

    body = await board(api)

    difference = body["entries"][1]["cells"][0]["difference"]
    assert difference["method"] == "unpaired"
    assert "has no samples of mme" in difference["note"]
    assert (body["tests"]["paired"], body["tests"]["unpaired"]) == (0, 1)


async def test_samples_are_read_only_if_asked_for(api: Api) -> None:
    await run(api, "best", *BETTER)
    await run(api, "worse", *WORSE)

    body = await board(api, "paired=0")

    note = body["entries"][1]["cells"][0]["difference"]["note"]
    assert note == "Not paired: the request asks for no samples to be read."


async def test_what_one_response_reads_is_limited(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard_tests, "MAX_READ_BYTES", 100)
    await run(api, "best", *BETTER)
    await run(api, "worse", *WORSE)

    body = await board(api)

    note = body["entries"][1]["cells"][0]["difference"]["note"]
    assert note.startswith("Not paired: the limits of what is read for one leaderboard")

    monkeypatch.undo()
    again = await board(api)
    assert again["entries"][1]["cells"][0]["difference"]["method"] == "paired"


async def test_differences_that_are_known_are_not_read_again(api: Api) -> None:
    await run(api, "best", *BETTER)
    worse = await run(api, "worse", *WORSE)
    first = await board(api)
    [path] = (await api.job(worse))["result"]["dummy"]["samples"]
    shutil.rmtree(Path(path).parent)

    assert (await board(api))["entries"] == first["entries"]


async def test_pruned_jobs_count(api: Api) -> None:
    job_id = await run(api, "base", 1, 0)
    await run(api, "better", 1, 1)
    await api.call("POST", f"/jobs/{job_id}/prune")

    body = await board(api)

    [_, entry] = body["entries"]
    assert (entry["name"], entry["cells"][0]["pruned"]) == ("base", True)
    assert len(body["columns"]) == 1


async def test_jobs_that_failed_do_not_count(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "crash"})
    await api.finished(job_id)

    assert (await board(api))["entries"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("label=team%3Da", ["one"]),
        ("series=run", ["two"]),
        ("limit=10", ["two"]),
        ("limit=all", ["one"]),
        ("engine=lm_eval", []),
        ("engine=lmms_eval", ["one", "two"]),
        ("task=ai2d", ["two"]),
        ("task=mm*", ["one"]),
        ("task=mme&task=ai2d", ["one", "two"]),
    ],
)
async def test_jobs_and_tasks_are_filtered(api: Api, query: str, names: list[str]) -> None:
    await run(api, "one", 1, 0, labels={"team": "a"})
    await run(api, "two", 1, 0, series="run", limit=10, tasks=["ai2d"])

    assert sorted(values(await board(api, query))) == names


async def test_one_metric_of_a_task_is_shown_and_the_others_are_named(api: Api) -> None:
    await run_completed(api, model_args={"behave": "judge"})

    [column] = (await board(api))["columns"]

    assert (column["metric"], column["filter"]) == ("acc", "loose")
    others = {(each["metric"], each["filter"]) for each in column["other_metrics"]}
    assert others == {("acc", "strict"), ("f1", "strict"), ("loss", "strict")}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("metric=loss", [("loss", "strict")]),
        ("metric=acc", [("acc", "loose"), ("acc", "strict")]),
        ("filter=strict&metric=acc", [("acc", "strict")]),
        ("metric=nothing", []),
    ],
)
async def test_metrics_and_filters_can_be_chosen(
    api: Api, query: str, shown: list[tuple[str, str]]
) -> None:
    await run_completed(api, model_args={"behave": "judge"})

    columns = (await board(api, query))["columns"]

    assert [(each["metric"], each["filter"]) for each in columns] == shown


async def test_of_a_loss_the_lowest_is_the_best(api: Api) -> None:
    for name in ("a", "b"):
        await run_completed(api, model_args={"behave": "judge", "pretrained": name})

    body = await board(api, "metric=loss")

    assert [entry["cells"][0]["best"] for entry in body["entries"]] == [True, True]
    assert body["columns"][0]["higher_is_better"] is False


async def test_means_say_over_which_tasks_and_what_is_missing(api: Api) -> None:
    await run(api, "whole", 1, 0, tasks=["mme", "ai2d"])
    await run(api, "part", 1, 1, tasks=["mme"])

    body = await board(api)

    assert (body["mean_of"], body["why_no_mean"]) == (["ai2d", "mme"], None)
    means = {each["name"]: each["mean"] for each in body["entries"]}
    assert list(means) == ["whole", "part"]
    assert (means["whole"]["value"], means["whole"]["missing"]) == (0.5, [])
    assert (means["part"]["value"], means["part"]["missing"]) == (1.0, ["ai2d"])


async def test_a_mean_that_makes_no_sense_is_not_given(api: Api) -> None:
    await run(api, "one", 1, 0)

    body = await board(api)

    assert (body["mean_of"], body["why_no_mean"]) == ([], "a mean needs two tasks or more")
    assert body["entries"][0]["mean"] is None


async def test_rows_and_columns_are_limited_and_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard_board, "MAX_COLUMNS", 1)
    await run(api, "one", 1, 0, tasks=["mme", "ai2d"])
    await run(api, "two", 1, 1, tasks=["mme"])

    body = await board(api, "top=1")

    assert (values(body), body["entries_left_out"]) == ({"two": [1.0]}, 1)
    assert body["columns_left_out"] == 1


async def test_it_is_also_csv_and_markdown(api: Api) -> None:
    await run(api, "best|one", *BETTER)
    await run(api, "=worse", *WORSE)

    table = await api.text("/leaderboard?format=csv")
    text = await api.text("/leaderboard?format=markdown")

    rows = list(csv.DictReader(table.splitlines()))
    assert [(row["name"], row["best"], row["differs"]) for row in rows] == [
        ("best|one", "True", ""), ("'=worse", "False", "True"),
    ]  # fmt: skip
    assert text.splitlines()[:3] == [
        "| Model | mme acc ↑ |", "| --- | ---: |", "| best\\|one | **1.0000** ± 0.0000 |",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("text/markdown, */*", "text/markdown"),
        ("*/*", "application/json"),
    ],
)
async def test_the_form_follows_accept(api: Api, accept: str, kind: str) -> None:
    async with api._session.get("/leaderboard", headers={"Accept": accept}) as response:
        assert response.content_type == kind


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pick=step", "step"),
        ("step=3", "step"),
        ("pick=worst", "pick"),
        ("limit=-1", "limit"),
        ("by=team", "by"),
        ("top=0", "top"),
        ("label=x", "label"),
    ],
)
async def test_invalid_queries_are_rejected(api: Api, query: str, field: str) -> None:
    assert [each["field"] for each in (await board(api, query, 422))["errors"]] == [field]
