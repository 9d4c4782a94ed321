"""Odd results that the real lmms-eval writes."""

import shutil
from pathlib import Path

import pytest

from tests.real_harness import interpreter, offline_environment
from tests.support import Json, ServerProcess, results_file

pytestmark = pytest.mark.real_harness("lmms-eval")

TASKS = Path(__file__).parents[1] / "digits" / "task"


@pytest.fixture
def odd_server(tmp_path: Path, digit_tasks: Path) -> ServerProcess:
    """A server whose engine is the real lmms-eval, with tasks whose results are odd."""
    tasks = tmp_path / "tasks"
    # Whose harness has run there, or who has compiled these files, left bytecode.
    bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(digit_tasks, tasks, ignore=bytecode)
    for path in TASKS.iterdir():
        if path.is_file() and path.name != "digits_vqa.yaml":
            shutil.copy(path, tasks)
    return ServerProcess(
        tmp_path / "data",
        *("--engine-python", str(interpreter("lmms-eval")), "--include-path", str(tasks)),
        environment=offline_environment(tmp_path / "hub"),
    )


async def _finished(
    server: ServerProcess, *tasks: str, predict_only: bool = False, response: str = "7"
) -> Json:
    job_id = await server.api.submit_unchecked(
        tasks=list(tasks), model_args={"response": response}, limit=20, predict_only=predict_only
    )
    job = await server.api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job


async def test_every_good_number_is_kept_and_every_other_one_is_a_finding(
    odd_server: ServerProcess,
) -> None:
    async with odd_server as server:
        job = await _finished(server, "digits_pair", "digits_nan", "digits_float32")
        listed = await server.api.call("GET", f"/jobs/{job['job_id']}/artifacts")

    metrics = job["result"]["dummy"]["metrics"]
    written = results_file(job)["results"]
    assert isinstance(written["digits_float32"]["acc,none"], str)
    assert metrics["digits_float32"]["acc,none"] == metrics["digits_vqa"]["acc,none"]
    assert metrics["digits_nan"]["acc,none"] is None
    found = {each["task"]: each["code"] for each in job["result_check"]["findings"]}
    assert found == {"digits_nan": "not_finite", "digits_submission": "no_score"}
    assert "submissions/digits_submission.json" in [each["path"] for each in listed["artifacts"]]


async def test_a_submission_task_alone_is_completed_without_a_number(
    odd_server: ServerProcess,
) -> None:
    async with odd_server as server:
        job = await _finished(server, "digits_submission")

    assert job["result"]["dummy"]["metrics"]["digits_submission"] == {}
    assert [each["code"] for each in job["result_check"]["findings"]] == ["no_score"]


async def test_predict_only_is_completed_without_a_number(odd_server: ServerProcess) -> None:
    async with odd_server as server:
        job = await _finished(server, "digits_vqa", predict_only=True)

    assert results_file(job)["results"]["digits_vqa"]["bypass,none"] == 999
    assert job["result"]["dummy"]["metrics"] == {"digits_vqa": {}}
    assert job["result_check"] == {"status": "ok", "findings": []}


async def test_an_abort_at_the_exit_is_a_finding(odd_server: ServerProcess) -> None:
    async with odd_server as server:
        job = await _finished(server, "digits_abort")

    assert job["exit_code"] == 134
    assert "acc,none" in job["result"]["dummy"]["metrics"]["digits_abort"]
    assert [each["code"] for each in job["result_check"]["findings"]] == ["ended_after_results"]


async def test_documents_of_a_task_with_a_cluster_key_are_compared_by_cluster(
    odd_server: ServerProcess,
) -> None:
    async with odd_server as server:
        jobs = [
            (await _finished(server, "digits_clustered", response=response))["job_id"]
            for response in ("7", "1")
        ]
        path = f"/jobs/{jobs[0]}/samples/digits_clustered"
        samples = [each["sample"] for each in (await server.api.call("GET", path))["samples"]]
        compared = await server.api.call("GET", f"/compare?job={jobs[0]}&job={jobs[1]}")

    assert [str(sample["cluster"]) for sample in samples] == [each["target"] for each in samples]
    [row] = compared["rows"]
    difference = row["values"][1]["difference"]
    assert difference["method"] == "paired"
    assert difference["clusters"] == len({sample["cluster"] for sample in samples}) < len(samples)
