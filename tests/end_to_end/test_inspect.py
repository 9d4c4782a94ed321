"""The real Inspect AI, through the server."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import INSPECT_TASKS, RealServer
from tests.mock_model import MODEL, mock_answers
from tests.support import ServerProcess, results_file

pytestmark = pytest.mark.real_harness("inspect")


async def _submit(server: ServerProcess, **fields: Any) -> str:
    return await server.api.submit(**{"model": MODEL, "tasks": ["capitals"], **fields})


async def test_the_metrics_match_inspects_own_log(inspect_server: ServerProcess) -> None:
    async with inspect_server as server:
        model_args = mock_answers("Paris", "Rome", "Kyoto", "Lima")
        job = await server.api.finished(await _submit(server, model_args=model_args))
        results = await server.api.call("GET", job["links"]["results"])

    assert job["status"] == "completed", job["error"]
    assert job["result"][MODEL]["metrics"]["capitals"]["accuracy,includes"] == 0.75
    assert results["results"] == [
        {
            "task": "capitals",
            "metric": "accuracy",
            "filter": "includes",
            "value": 0.75,
            "stderr": 0.25,
            "n": 4,
            "higher_is_better": True,
            "task_version": "0",
            "num_fewshot": None,
        }
    ]


async def test_samples_in_error_are_failed_requests(inspect_server: ServerProcess) -> None:
    fields = {"tasks": ["fragile_capitals"], "model_args": mock_answers("Paris")}
    async with inspect_server as server:
        job = await server.api.finished(await _submit(server, **fields))

    assert job["status"] == "failed"
    text = "3 of 4 requests to the model failed (75.0%, allowed are 5.0%)"
    assert job["error"].startswith(text)
    assert "the map has no such country" in job["error"].splitlines()[0]


async def test_samples_in_error_below_the_limit_are_a_finding_and_shown(
    real_server: RealServer,
) -> None:
    server = real_server("inspect", INSPECT_TASKS, "--max-failed-requests", "0.8")
    fields = {"tasks": ["fragile_capitals"], "model_args": mock_answers("Paris")}
    async with server:
        job = await server.api.finished(await _submit(server, **fields))
        page = await server.api.call(
            "GET", f"/jobs/{job['job_id']}/samples/fragile_capitals?filter=includes"
        )

    [finding] = job["result_check"]["findings"]
    assert (job["status"], finding["code"]) == ("completed", "failed_requests")
    assert [each["right"] for each in page["samples"]] == [True, None, None, None]
    assert [each["sample"].get("error") for each in page["samples"]] == [
        None,
        *["RuntimeError('the map has no such country')"] * 3,
    ]


async def test_each_value_and_reducer_of_a_scorer_is_a_filter_of_the_samples(
    inspect_server: ServerProcess,
) -> None:
    answers = mock_answers(*["Paris", "Rome", "Kyoto", "Lima"] * 2)
    async with inspect_server as server:
        job = await server.api.finished(
            await _submit(server, tasks=["graded_capitals"], model_args=answers, batch_size=1)
        )
        results = await server.api.call("GET", job["links"]["results"])
        pages = {
            each["filter"]: await server.api.call(
                "GET", f"/jobs/{job['job_id']}/samples/graded_capitals?filter={each['filter']}"
            )
            for each in results["results"]
        }

    assert {each["n"] for each in results["results"]} == {4}
    assert pages.keys() == {f"{a}/{b}" for a in ("right", "length") for b in ("mean", "at_least_1")}
    assert {len(page["samples"]) for page in pages.values()} == {8}


async def test_the_page_of_samples_in_epochs_names_them_and_counts_none(
    inspect_server: ServerProcess,
) -> None:
    answers = mock_answers(*["Paris", "Rome", "Kyoto", "Lima"] * 2)
    fields = {"model_args": answers, "harness_args": {"epochs": 2}, "batch_size": 1}
    async with inspect_server as server:
        job_id = await _submit(server, **fields)
        await server.api.finished(job_id)
        page = await server.api.text(f"/ui/jobs/{job_id}/samples/capitals")

    assert 'aria-label="Sample 1, epoch 2"' in page
    assert 'All <span class="faint">' not in page


async def test_samples_name_the_cluster_by_which_a_scorer_computes_its_error_bar(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        jobs = []
        for answers in (("Paris", "Rome", "Kyoto", "Lima"), ("Rome", "Rome", "Tokyo", "Lima")):
            job_id = await _submit(
                server,
                tasks=["capitals_by_continent"],
                model_args=mock_answers(*answers),
                batch_size=1,
            )
            await server.api.finished(job_id)
            jobs.append(job_id)
        path = f"/jobs/{jobs[0]}/samples/capitals_by_continent?filter=by_continent"
        samples = (await server.api.call("GET", path))["samples"]
        compared = await server.api.call("GET", f"/compare?job={jobs[0]}&job={jobs[1]}")

    clusters = [each["sample"]["cluster"] for each in samples]
    assert clusters == ["Europe", "Europe", "Asia", "America"]
    found = {row["filter"]: row["values"][1]["difference"]["clusters"] for row in compared["rows"]}
    assert found == {"by_continent": 3, "includes": None}


async def test_a_wrong_sample_is_found_with_the_models_answer(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        model_args = mock_answers("Paris", "Rome", "Kyoto", "Lima")
        job_id = await _submit(server, model_args=model_args, tasks=["capitals_twice_judged"])
        await server.api.finished(job_id)
        path = f"/jobs/{job_id}/samples/capitals_twice_judged?only=wrong&filter=match"
        page = await server.api.call("GET", path)

    [sample] = page["samples"]
    assert (sample["sample"]["target"], sample["sample"]["resps"]) == ("Tokyo", [["Kyoto"]])


async def test_a_wildcard_stands_for_several_tasks(inspect_server: ServerProcess) -> None:
    async with inspect_server as server:
        job_id = await _submit(
            server, model_args=mock_answers(*["Paris"] * 12), tasks=["capitals*"]
        )
        job = await server.api.finished(job_id)

    assert set(job["result"][MODEL]["metrics"]) == {
        "capitals",
        "capitals_by_continent",
        "capitals_twice_judged",
    }


async def test_limit_seed_and_generation_arguments_reach_inspect(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        job = await server.api.finished(
            await _submit(
                server,
                model_args=mock_answers("Paris", "Rome"),
                limit=2,
                seed=7,
                batch_size=1,
                gen_kwargs={"temperature": 0.5, "max_tokens": 9},
            )
        )

    counts = results_file(job)["n-samples"]["capitals"]
    assert (counts["original"], counts["effective"]) == (2, 2)
    log = (Path(job["run_dir"]) / "eval.log").read_text()
    for argument in ("temperature: 0.5", "max_tokens: 9", "seed: 7", "max_connections: 1"):
        assert argument in log


async def test_task_arguments_and_epochs_reach_inspect_and_change_the_result(
    inspect_server: ServerProcess,
) -> None:
    hint = ' "Quito", {not}\nLima?'
    options = {
        "task_args": {"country": "Peru", "hint": hint},
        "epochs": 4,
        "epochs_reducer": ["mean", "at_least_3"],
    }
    async with inspect_server as server:
        model_args = mock_answers("Lima", "Quito", "Lima", "Lima")
        job_id = await _submit(
            server, tasks=["one_capital"], model_args=model_args, harness_args=options, batch_size=1
        )
        job = await server.api.finished(job_id)
        path = f"/jobs/{job_id}/samples/one_capital?filter=includes/mean"
        page = await server.api.call("GET", path)

    assert job["status"] == "completed", job["error"]
    metrics = job["result"][MODEL]["metrics"]["one_capital"]
    assert metrics["accuracy,includes/mean"] == 0.75
    assert metrics["accuracy,includes/at_least_3"] == 1.0
    assert [each["sample"]["epoch"] for each in page["samples"]] == [1, 2, 3, 4]
    asked = {each["sample"]["input"] for each in page["samples"]}
    assert asked == {f"What is the capital of Peru?{hint}"}


async def test_a_solver_by_name_and_a_limit_of_messages_reach_inspect(
    inspect_server: ServerProcess,
) -> None:
    options = {
        "solver": "system_message",
        "solver_args": {"template": "Be brief."},
        "message_limit": 7,
        "fail_on_error": 0.5,
    }
    async with inspect_server as server:
        job = await server.api.finished(
            await _submit(server, model_args=mock_answers("Paris"), harness_args=options, limit=1)
        )

    log = (Path(job["run_dir"]) / "eval.log").read_text()
    assert "message_limit: 7" in log
    assert "fail_on_error: 0.5" in log


async def test_a_task_of_a_package_works_in_inspects_own_spelling(
    real_server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Inspect takes a package for installed by the name of its directory.
    _install_package(tmp_path / "site-packages")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-packages"))
    async with real_server("inspect", INSPECT_TASKS) as server:
        job_id = await server.api.submit_unchecked(
            model=MODEL, model_args=mock_answers("Paris"), tasks=["lab_tasks/one_capital"]
        )
        job = await server.api.finished(job_id)
        page = await server.api.call("GET", f"/jobs/{job_id}/samples/lab_tasks%2Fone_capital")
        page_status = await server.api.status_of(f"/ui/jobs/{job_id}/samples/lab_tasks:one_capital")

    assert job["status"] == "completed", job["error"]
    assert list(job["result"][MODEL]["metrics"]) == ["lab_tasks:one_capital"]
    assert [each["sample"]["target"] for each in page["samples"]] == ["Paris"]
    assert page_status == 200


def _install_package(site: Path) -> None:
    """Install a package with a task into a directory of Python packages."""
    source = (INSPECT_TASKS / "capitals.py").read_text()
    (site / "lab_tasks").mkdir(parents=True)
    (site / "lab_tasks" / "__init__.py").write_text(source)
    (site / "lab_tasks-1.0.dist-info").mkdir()
    (site / "lab_tasks-1.0.dist-info" / "METADATA").write_text("Name: lab_tasks\nVersion: 1.0\n")
    entry = "[inspect_ai]\nlab_tasks = lab_tasks\n"
    (site / "lab_tasks-1.0.dist-info" / "entry_points.txt").write_text(entry)


async def test_a_failing_model_fails_the_job_with_the_reason(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        job = await server.api.finished(await _submit(server, model_args=mock_answers()))

    assert job["status"] == "failed"
    assert "custom_outputs ran out of values" in job["error"]


async def test_fields_that_inspect_does_not_support_are_rejected_at_once(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        body = {"model": MODEL, "tasks": ["capitals"], "num_fewshot": 2, "limit": 0.5}
        problem = await server.api.call("POST", "/evaluate", 422, json=body)

    assert [each["field"] for each in problem["errors"]] == ["num_fewshot", "limit"]


async def test_tasks_and_models_come_from_the_harness(inspect_server: ServerProcess) -> None:
    async with inspect_server as server:
        tasks = (await server.api.call("GET", "/tasks"))["tasks"]
        models = (await server.api.call("GET", "/models"))["models"]

    assert set(tasks) >= {"capitals", "capitals_twice_judged"}
    assert {"mockllm", "openai", "hf"} <= set(models)


async def test_what_is_odd_about_scores_is_said_and_the_other_numbers_are_kept(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        tasks = ["partly_nan", "unscored"]
        job_id = await _submit(server, model_args=mock_answers("Lima", "Lima"), tasks=tasks)
        job = await server.api.finished(job_id)

    assert job["status"] == "completed", job["error"]
    metrics = job["result"][MODEL]["metrics"]
    assert metrics["partly_nan"]["accuracy,half_diverged"] == 1.0
    assert metrics["partly_nan"]["diverged,half_diverged"] is None
    found = {each["task"]: each["code"] for each in job["result_check"]["findings"]}
    assert found == {"partly_nan": "not_finite", "unscored": "no_score"}


async def test_a_failing_task_keeps_the_numbers_of_the_others(
    inspect_server: ServerProcess,
) -> None:
    async with inspect_server as server:
        tasks = ["capitals", "failing"]
        model_args = mock_answers("Paris", "Rome", "Kyoto", "Lima")
        job = await server.api.finished(await _submit(server, model_args=model_args, tasks=tasks))

    assert job["status"] == "failed"
    assert "the solver is broken" in job["error"]
    assert job["partial"]["capitals"]["accuracy,includes"] == 0.75
