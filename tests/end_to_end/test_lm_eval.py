"""The real lm-eval, through the server."""

import pytest

from tests.support import Json, ServerProcess, results_file

pytestmark = pytest.mark.real_harness("lm-eval")


MODEL_ARGS = {"note": "a,b=c", "nested": {"list": [1, 2.5, True, None]}, "rate": 1e-5}
GEN_KWARGS = {"until": ["a,b", "\n"], "temperature": 0.0}
SECRET = "sk-abcdefghijklmnopqrstuvwx"  # noqa: S105 - the test's own
SECRETS = {"api_key": SECRET, "quoted": f"k={SECRET}"}


async def test_one_evaluation_keeps_numbers_samples_arguments_and_secrets(
    lm_server: ServerProcess,
) -> None:
    """In one test, because each start of the harness takes ten seconds."""
    async with lm_server as server:
        job = await server.api.finished(
            await server.api.submit(
                tasks=["capitals"],
                model_args={**MODEL_ARGS, **SECRETS},
                gen_kwargs=GEN_KWARGS,
                limit=10,
                seed=7,
                num_fewshot=0,
            )
        )
        results = await server.api.call("GET", job["links"]["results"])
        samples = f"{job['links']['self']}/samples/capitals"
        wrong = await server.api.call("GET", f"{samples}?only=wrong")
        right = await server.api.call("GET", f"{samples}?only=right")

    written = results_file(job)
    _assert_numbers_are_the_harnesss_own(job, results, written)
    accuracy = written["results"]["capitals"]["acc,none"]
    assert len(right["samples"]) == round(10 * accuracy)
    assert len(wrong["samples"]) == 10 - len(right["samples"])
    _assert_arguments_keep_their_types(written["config"])


def _assert_numbers_are_the_harnesss_own(job: Json, results: Json, written: Json) -> None:
    numbers = written["results"]["capitals"]
    (result,) = job["result"].values()
    reported = result["metrics"]["capitals"]
    assert "acc,none" in reported
    assert reported == {key: numbers[key] for key in reported}
    assert results["results"] == [
        {
            "task": "capitals",
            "metric": "acc",
            "filter": "none",
            "value": numbers["acc,none"],
            "stderr": numbers["acc_stderr,none"],
            "n": written["n-samples"]["capitals"]["effective"],
            "higher_is_better": written["higher_is_better"]["capitals"]["acc"],
            "task_version": str(written["versions"]["capitals"]),
            "num_fewshot": written["n-shot"]["capitals"],
        }
    ]


def _assert_arguments_keep_their_types(read: Json) -> None:
    """And secrets among them are masked in the file."""
    hidden = "*" * len(SECRET)
    assert read["model_args"] == {**MODEL_ARGS, "api_key": hidden, "quoted": f"k={hidden}"}
    assert read["gen_kwargs"] == GEN_KWARGS
    assert (read["limit"], read["random_seed"]) == (10, 7)


async def test_a_model_with_a_path_longer_than_a_file_name_has_results_and_all_samples(
    lm_server: ServerProcess,
) -> None:
    """With a limit of -1, those of the whole data set."""
    path = f"outputs/{'lr=0.1,data=[web],' * 20}/ckpt-500"
    async with lm_server as server:
        job = await server.api.finished(
            await server.api.submit(tasks=["capitals"], model_args={"pretrained": path}, limit=-1)
        )

    [(name, part)] = job["result"].items()
    written = results_file(job)
    assert written["model_name"] == path
    assert name.endswith("__ckpt-500")
    assert len(part["samples"]) == 1
    samples = written["n-samples"]["capitals"]
    assert samples["effective"] == samples["original"]


async def test_options_of_the_harness_reach_it_and_change_what_is_evaluated(
    lm_server: ServerProcess,
) -> None:
    instruction = 'Be brief: "a, b", {c=[d]}\n- 007 é'
    options = {
        "samples": {"capitals": [1, 4]},
        "system_instruction": instruction,
        "metadata": {"note": "a,b=c", "sizes": [1, 2]},
    }
    async with lm_server as server:
        job_id = await server.api.submit(
            tasks=["capitals"], harness_args=options, seed=[0, None, 8, 52]
        )
        job = await server.api.finished(job_id)
        page = await server.api.call("GET", f"{job['links']['self']}/samples/capitals")

    assert job["provenance"]["harness_args"] == options
    samples = [each["sample"] for each in page["samples"]]
    assert [each["doc_id"] for each in samples] == [1, 4]
    assert all(each["arguments"]["gen_args_0"]["arg_0"].startswith(instruction) for each in samples)
    written = results_file(job)
    assert written["n-samples"]["capitals"]["effective"] == 2
    assert written["configs"]["capitals"]["metadata"]["sizes"] == [1, 2]
    config = written["config"]
    seeds = [config[f"{of}_seed"] for of in ("random", "numpy", "torch", "fewshot")]
    assert seeds == [0, None, 8, 52]


async def test_an_unknown_task_fails_and_is_named(lm_server: ServerProcess) -> None:
    async with lm_server as server:
        job = await server.api.finished(await server.api.submit_unchecked(tasks=["no_such_task"]))

    assert job["exit_code"] == 1
    assert "no_such_task" in job["error"].splitlines()[0]


async def test_tasks_and_models_come_from_the_harness(lm_server: ServerProcess) -> None:
    async with lm_server as server:
        tasks = (await server.api.call("GET", "/tasks"))["tasks"]
        models = (await server.api.call("GET", "/models"))["models"]

    assert {"capitals", "arc_easy"} <= set(tasks)
    assert {"dummy", "hf", "local-completions"} <= set(models)
