"""Engines from the TOML file, through a server: defaults, allowed models, custom programs."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeApi
from tests.support import Api

PROGRAM = Path(__file__).parents[1] / "programs" / "count_words.py"

ENGINES: dict[str, Any] = {
    "words": {
        "type": "command",
        "argv": ["{python}", str(PROGRAM), "--words={words}", "--out={output_dir}", "{tasks}"],
        "python": sys.executable,
        "results": "scores.json",
        "samples": "samples_{task}.jsonl",
        "progress": r"word (?P<done>\d+) of (?P<total>\d+)",
        "parameters": {"words": {"type": "integer", "min": 0, "max": 100, "required": True}},
    },
    "vision": {
        "type": "lmms_eval",
        "models": ["dum*"],
        "environment": {"LAB_TOKEN": "opensesame-1234"},
        "defaults": {"limit": 8, "model_args": {"value": 0.25, "behave": "complete"}},
    },
}


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """The real application with these engines."""
    return await make_api(engines=ENGINES)


async def test_metrics_and_samples_of_a_custom_program_are_read(api: Api) -> None:
    job = await api.finished(
        await api.submit(engine="words", tasks=["a", "b"], model_args={"words": 4})
    )
    results = await api.call("GET", job["links"]["results"])
    page = await api.call("GET", f"{job['links']['self']}/samples/b?only=wrong")

    assert [
        (row["task"], row["metric"], row["value"], row["stderr"], row["n"])
        for row in results["results"]
    ] == [("a", "exact", 0.5, 0.1, 4), ("b", "exact", 0.5, 0.1, 4)]
    assert [each["doc_id"] for each in page["samples"]] == [0, 2]


async def test_unsupported_fields_of_a_custom_program_are_rejected_and_named(api: Api) -> None:
    body = {"model": "m", "tasks": ["a"], "engine": "words", "seed": 1, "model_args": {"word": 1}}

    problem = await api.call("POST", "/evaluate", 422, json=body)

    fields = {each["field"]: each["message"] for each in problem["errors"]}
    assert set(fields) == {"seed", "model_args.word", "model_args.words"}
    assert "Did you mean 'words'" in fields["model_args.word"]


async def test_rejecting_a_model_lists_the_allowed_ones(api: Api) -> None:
    body = {"model": "other", "tasks": ["mme"], "engine": "vision"}

    problem = await api.call("POST", "/evaluate", 422, json=body)

    [error] = problem["errors"]
    assert (error["field"], "dum*" in error["message"]) == ("model", True)


async def test_an_engines_defaults_apply_to_omitted_fields(api: Api) -> None:
    job = await api.finished(await api.submit(engine="vision", model_args={"value": 0.75}))

    assert job["request"]["limit"] == 8
    assert job["request"]["model_args"] == {"value": 0.75, "behave": "complete"}
    assert job["result"]["dummy"]["metrics"]["mme"]["acc,none"] == 0.75


async def test_an_engines_environment_reaches_its_harness(api: Api) -> None:
    job = await api.finished(await api.submit(engine="vision"))

    started = json.loads((Path(job["run_dir"]) / "job.json").read_text())
    assert started["env"]["LAB_TOKEN"] == "opensesame-1234"  # noqa: S105 - not one
    assert "opensesame-1234" in started["secrets"]


@pytest.mark.parametrize(
    ("name", "secret"),
    [("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/bPx"), ("SOCCERNET_PWD", "s0cc3rn3t-pass")],
)
async def test_a_key_of_a_provider_reaches_the_harness_and_is_masked(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, name: str, secret: str
) -> None:
    monkeypatch.setenv(name, secret)
    api = await make_api()

    job = await api.finished(await api.submit(model_args={"behave": "environment", "show": name}))
    printed = (Path(job["run_dir"]) / "eval.log").read_text()
    written = (Path(job["output_dir"]) / "environment.txt").read_text()

    assert f"{name}=None" not in printed
    assert secret not in printed + written + json.dumps(job)
    assert f"{name}={'*' * len(secret)}" in written


async def test_an_engines_harness_can_be_queried(api: Api) -> None:
    assert await api.call("GET", "/tasks?engine=vision") == {"tasks": ["ai2d", "mme"]}
