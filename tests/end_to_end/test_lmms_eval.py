"""The real lmms-eval, through the server: a real vision model, real metrics, every argument."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Digits
from tests.support import ServerProcess, results_file, until

pytestmark = pytest.mark.real_harness("lmms-eval")


async def test_a_vision_models_metrics_and_wrong_samples_match_the_harnesss_own_file(
    lmms_server: ServerProcess, digits: Digits
) -> None:
    async with lmms_server as server:
        job_id = await _submit(server, model="async_openai", model_args=digits.model_args)
        job = await server.api.finished(job_id)
        wrong = await server.api.call("GET", f"/jobs/{job_id}/samples/digits_vqa?only=wrong")

    numbers = job["result"]["digits-svc"]["metrics"]["digits_vqa"]
    written = results_file(job)["results"]["digits_vqa"]
    assert numbers["acc,none"] > 0.9
    assert numbers == {key: written[key] for key in numbers}
    answers = [
        (each["sample"]["filtered_resps"], each["sample"]["target"]) for each in wrong["samples"]
    ]
    assert all(answer != target for answer, target in answers)
    assert len(answers) == round(64 * (1 - written["acc,none"]))


async def test_answers_with_a_lone_surrogate_are_scored_cached_and_shown(
    lmms_server: ServerProcess, surrogate_digits: Digits
) -> None:
    async with lmms_server as server:
        job_id = await _submit(
            server, model="async_openai", model_args=surrogate_digits.model_args, limit=8
        )
        job = await server.api.finished(job_id)
        page = await server.api.call("GET", f"/jobs/{job_id}/samples/digits_vqa")

    answers = [each["sample"]["filtered_resps"] for each in page["samples"]]
    assert job["status"] == "completed"
    assert len(answers) == 8
    assert sum("\ufffd" in answer for answer in answers) == 1


async def test_a_model_is_named_by_a_path_and_evaluated_on_the_whole_data_set(
    lmms_server: ServerProcess,
) -> None:
    """A path with commas and brackets, and a limit of -1."""
    images = ",".join(f"web-images-{number}" for number in range(20))
    path = f"outputs/lr=0.1,data=[{images}]/ckpt-500"
    model_args = {"pretrained": path, "response": "7"}
    async with lmms_server as server:
        job = await server.api.finished(
            await _submit(server, model="dummy", model_args=model_args, limit=-1)
        )

    written = results_file(job)
    assert written["model_name"] == path
    assert written["n-samples"]["digits_vqa"]["effective"] == 64
    [(name, result)] = job["result"].items()
    assert name.endswith("web-images-18,web-images-19__ckpt-500")
    assert result["metrics"]["digits_vqa"]["acc,none"] == 0.109375


async def test_every_field_reaches_the_harness(lmms_server: ServerProcess, digits: Digits) -> None:
    prompt = "Be brief, please: a=b, {x: [1]}, trust_remote_code=True"
    model_args = {**digits.model_args, "system_prompt": prompt}
    sent = {
        "limit": 0.25,
        "gen_kwargs": {"temperature": 0.5, "max_new_tokens": 9},
        "seed": 7,
        "device": "cpu",
        "batch_size": 2,
        "num_fewshot": 0,
    }
    async with lmms_server as server:
        job_id = await _submit(server, model="async_openai", model_args=model_args, **sent)
        job = await server.api.finished(job_id)

        asked = digits.requests()
    read = results_file(job)["config"]
    expected = {key: sent[key] for key in ("limit", "gen_kwargs", "device")}
    assert {key: read[key] for key in expected} == expected
    assert int(read["batch_size"]) == 2
    assert (read["random_seed"], read["resolved_cli_args"]["num_fewshot"]) == (7, 0)
    assert [each["system_prompt"] for each in asked] == [prompt] * 16
    assert (asked[0]["temperature"], asked[0]["max_tokens"]) == (0.5, 9)


async def test_options_of_the_harness_reach_it_and_change_what_is_evaluated(
    lmms_server: ServerProcess,
) -> None:
    options = {
        "offset": 60,
        "repeats": 2,
        "reasoning_tags": [["<a, 'b'>", "</a>"]],
        "system_instruction": 'Be brief: "a, b", {c=[d]}\n- 007 é',
    }
    # The answer is 7 only without what is between the tags.
    answer = "<a, 'b'>3</a>7"
    async with lmms_server as server:
        job_id = await _submit(
            server, model="dummy", model_args={"response": answer}, harness_args=options
        )
        job = await server.api.finished(job_id)
        page = await server.api.call("GET", f"{job['links']['self']}/samples/digits_vqa")

    assert [each["sample"]["doc_id"] for each in page["samples"]] == [60, 61, 62, 63]
    read = results_file(job)["config"]["resolved_cli_args"]
    assert {name: read[name] for name in ("offset", "repeats", "system_instruction")} == {
        name: options[name] for name in ("offset", "repeats", "system_instruction")
    }
    assert {each["sample"]["filtered_resps"] for each in page["samples"]} == {"7"}


async def test_two_gpus_are_two_ranks_of_one_evaluation_even_under_slurm(
    slurm_environment: None, lmms_server: ServerProcess, digits: Digits
) -> None:
    async with lmms_server as server:
        job_id = await _submit(
            server, model="async_openai", model_args=digits.model_args, num_gpus=2
        )
        job = await server.api.finished(job_id)

    assert results_file(job)["n-samples"]["digits_vqa"]["effective"] == 64
    log = (Path(job["run_dir"]) / "eval.log").read_text()
    assert "Running on rank 0" in log
    assert "Running on rank 1" in log


async def test_an_exit_of_0_after_an_error_fails_the_job_with_the_reason(
    lmms_server: ServerProcess,
) -> None:
    async with lmms_server as server:
        job = await server.api.finished(
            await server.api.submit_unchecked(tasks=["digits_vqa"], model="no_such_model")
        )

    assert (job["status"], job["exit_code"]) == ("failed", 0)
    assert "no_such_model" in job["error"].splitlines()[0]


async def test_a_running_evaluation_survives_a_killed_server(
    lmms_server: ServerProcess, digits: Digits
) -> None:
    async with lmms_server as server:
        jobs = [
            await _submit(server, model="async_openai", model_args=digits.model_args, limit=limit)
            for limit in (64, 4)
        ]
        await server.api.when(jobs[0], "running")

        server.kill()
        await server.start()
        ended = [await server.api.finished(job_id) for job_id in jobs]

    samples = [results_file(job)["n-samples"]["digits_vqa"]["effective"] for job in ended]
    assert samples == [64, 4]
    assert [job["attempt"] for job in ended] == [1, 1]
    assert ended[0]["completed_at"] <= ended[1]["started_at"]


async def test_progress_counts_all_model_requests_across_batches(
    lmms_server: ServerProcess, slow_digits: Digits
) -> None:
    seen: list[tuple[int, int]] = []
    async with lmms_server as server:
        job_id = await _submit(server, model="async_openai", model_args=slow_digits.model_args)

        async def ended() -> bool:
            job = await server.api.job(job_id)
            progress = job["progress"] or {}
            if progress.get("stage") == "Model Responding":
                seen.append((progress["done"], progress["total"]))
            return bool(job["status"] == "completed")

        await until(ended)

    assert {total for _, total in seen} == {64}
    assert any(0 < done < 64 for done, _ in seen)
    assert seen == sorted(seen)


async def test_tasks_and_models_come_from_the_harness(lmms_server: ServerProcess) -> None:
    async with lmms_server as server:
        tasks = (await server.api.call("GET", "/tasks"))["tasks"]
        models = (await server.api.call("GET", "/models"))["models"]

    assert {"mme", "mmmu_val", "digits_vqa"} <= set(tasks)
    assert {"dummy", "async_openai", "qwen2_vl"} <= set(models)


@pytest.fixture
def slurm_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables of a rank of another distributed job."""
    outer = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "3", "SLURM_PROCID": "3"}
    for name, value in {**outer, "MASTER_ADDR": "nowhere", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)


async def _submit(server: ServerProcess, **fields: Any) -> str:
    return await server.api.submit(**{"tasks": ["digits_vqa"], **fields})
