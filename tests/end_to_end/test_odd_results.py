"""Odd results of a harness, through a real server: no good number is withheld, none is made up."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import Json, ServerProcess

ENDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "segmentation fault": (
        {"model_args": {"behave": "die", "signal": 11}},
        "killed by signal 11 (exit code 139)",
        "completed",
    ),
    "time limit": (
        {"model_args": {"behave": "linger"}, "timeout_s": 5},
        "it took longer than 5 s",
        "completed",
    ),
}


@pytest.mark.parametrize(("request_fields", "words", "status"), ENDS.values(), ids=ENDS.keys())
async def test_a_harness_that_ends_after_its_results_completes_the_job(
    tmp_path: Path, request_fields: dict[str, Any], words: str, status: str
) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        job = await server.api.finished(await server.api.submit(**request_fields))

    assert job["status"] == status
    assert job["result"]["dummy"]["metrics"]["mme"]["acc,none"] == 0.5
    [finding] = job["result_check"]["findings"]
    assert (finding["task"], finding["code"]) == (None, "ended_after_results")
    assert words in finding["message"]


async def test_a_submission_file_is_an_artifact_and_the_scored_split_has_its_number(
    tmp_path: Path,
) -> None:
    results = {"docvqa_val": {"anls,none": 0.5}, "docvqa_test": {"submission,none": None}}
    file = "submissions/docvqa_test_for_submission.json"
    async with ServerProcess(tmp_path / "data") as server:
        job = await _report(server, results, file=file)
        listed = await server.api.call("GET", f"/jobs/{job['job_id']}/artifacts")
        found = await server.api.call("GET", "/jobs?result_check=warnings")

    assert job["result"]["dummy"]["metrics"] == {
        "docvqa_val": {"anls,none": 0.5},
        "docvqa_test": {},
    }
    assert [each["task"] for each in job["result_check"]["findings"]] == ["docvqa_test"]
    assert file in [each["path"] for each in listed["artifacts"]]
    assert [each["job_id"] for each in found["jobs"]] == [job["job_id"]]


async def test_nan_is_null_in_json_and_not_among_the_metrics(tmp_path: Path) -> None:
    results = {"mme": {"acc,none": float("nan")}, "ai2d": {"acc,none": "0.8333333"}}
    async with ServerProcess(tmp_path / "data") as server:
        job = await _report(server, results)
        rows = await server.api.call("GET", f"/jobs/{job['job_id']}/results")
        values = server.query("SELECT task FROM metrics")

    assert job["result"]["dummy"]["metrics"] == {
        "mme": {"acc,none": None},
        "ai2d": {"acc,none": 0.8333333},
    }
    assert (rows["complete"], [row["task"] for row in rows["results"]]) == (True, ["ai2d"])
    assert values == ["ai2d"]


async def test_a_failed_job_shows_the_numbers_that_it_has(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        job_id = await server.api.submit(model_args={"behave": "leave", "what": "none", "code": 1})
        job = await server.api.finished(job_id)
        rows = await server.api.call("GET", f"/jobs/{job_id}/results")

    assert (job["status"], job["result"]) == ("failed", None)
    assert job["partial"] == {"mme": {"acc,none": 0.5, "acc_stderr,none": 0.01}}
    assert (rows["complete"], [row["value"] for row in rows["results"]]) == (False, [0.5])


async def _report(server: ServerProcess, results: Json, **args: Any) -> Json:
    given = {"behave": "report", "results": json.dumps(results), **args}
    job_id = await server.api.submit_unchecked(tasks=list(results), model_args=given)
    job = await server.api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job
