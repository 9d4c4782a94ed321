"""What ``POST /evaluate`` refuses: with a clear 4xx, every fault at once, and nothing changed."""

from io import BytesIO
from typing import Any

import pytest

from tests.support import Api, Json, request

REFUSED: dict[str, Json] = {
    "model": {"model": ""},
    "model ": {"model": "--help"},
    "model  ": {"model": "a\0b"},
    "model   ": {"model": "x" * 1_000},
    "model    ": {"model": 5},
    "model     ": {"model": None},
    "tasks": {"tasks": []},
    "tasks ": {"tasks": "mme"},
    "tasks.0": {"tasks": [""]},
    "tasks.0 ": {"tasks": ["/etc/passwd"]},
    "tasks.0  ": {"tasks": ["a,b"]},
    "tasks.0   ": {"tasks": ["evil.yaml"]},
    "tasks.1": {"tasks": ["mme", None]},
    "tasks  ": {"tasks": ["mme"] * 100_000},
    "num_gpus": {"num_gpus": 0},
    "num_gpus ": {"num_gpus": -1},
    "num_gpus  ": {"num_gpus": True},
    "num_gpus   ": {"num_gpus": 1.0},
    "num_gpus    ": {"num_gpus": "1"},
    "limit": {"limit": 0},
    "limit ": {"limit": -5},
    "limit  ": {"limit": 1.5},
    "limit   ": {"limit": True},
    "num_fewshot": {"num_fewshot": -1},
    "batch_size": {"batch_size": 0},
    "batch_size ": {"batch_size": "auto:0"},
    "batch_size  ": {"batch_size": "many"},
    "device": {"device": "-x"},
    "gen_kwargs": {"gen_kwargs": 5},
    "model_args": {"model_args": "pretrained=x"},
    "model_args.a,b": {"model_args": {"a,b": 1}},
    "model_args.x": {"model_args": {"x": "a\0b"}},
    "output_dir": {"output_dir": "~/x"},
    "output_dir ": {"output_dir": "../x"},
    "log_samples": {"log_samples": "yes"},
    "labels.a.value": {"labels": {"a": 1}},
    "timeout_s": {"timeout_s": 0},
    "max_attempts": {"max_attempts": 0},
    "seed": {"seed": -1},
    "priority": {"priority": "high"},
    "engine": {"engine": "lmms"},
    "lmms_engine_kwargs": {"lmms_engine_kwargs": {"model_path": "x"}},
    "nonsense": {"nonsense": 1},
}


@pytest.mark.parametrize(("field", "change"), REFUSED.items(), ids=map(str, REFUSED.values()))
async def test_a_field_that_is_not_allowed_is_named(api: Api, field: str, change: Json) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(**change))

    assert [error["field"] for error in problem["errors"]] == [field.strip()]


async def test_every_fault_is_named_at_once(api: Api) -> None:
    body = {"tasks": [""], "limit": 0, "num_gpus": 0}

    problem = await api.call("POST", "/evaluate", 422, json=body)

    named = {error["field"] for error in problem["errors"]}
    assert named == {"model", "tasks.0", "limit", "num_gpus"}


async def test_an_unknown_field_is_answered_with_the_nearest_known_one(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(num_gpu=1))

    assert "Did you mean 'num_gpus'?" in problem["errors"][0]["message"]


async def test_a_refused_request_changes_nothing(api: Api) -> None:
    await api.call("POST", "/evaluate", 422, json=request(limit=0))

    assert (await api.call("GET", "/queue"))["running_job"] is None


BODIES: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"{", 400),
    "nothing": (b"", 400),
    "not UTF-8": (b'{"model": "\xff"}', 400),
    "NaN": (b'{"model": "m", "tasks": ["t"], "limit": NaN}', 400),
    "a lone surrogate": (b'{"model": "\\ud800", "tasks": ["t"]}', 400),
    "nested too deeply": (b"[" * 100_000 + b"]" * 100_000, 400),
    "an array": (b"[]", 422),
    "a number": (b"5", 422),
    "model_args nested too deeply": (
        b'{"model": "m", "tasks": ["t"], "model_args": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}",
        422,
    ),
    "too large": (b'{"model": "' + b"x" * 2_000_000 + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_used_is_refused(api: Api, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}

    problem = await api.call("POST", "/evaluate", status, data=BytesIO(body), headers=headers)

    assert problem["status"] == status


async def test_a_body_of_another_content_type_is_415(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 415, data=b"model=x")

    assert "application/json" in problem["detail"]


@pytest.mark.parametrize("limit", [1, 0.5, -1, 10**9])
async def test_a_limit_may_be_a_count_a_fraction_or_all(api: Api, limit: Any) -> None:
    job_id = await api.submit(limit=limit)

    assert (await api.job(job_id))["request"]["limit"] == limit


@pytest.mark.parametrize("name", ["mmlu_*", "task+v1", "a(b)", "Ünïcode task"])
async def test_task_names_of_every_harness_are_accepted(api: Api, name: str) -> None:
    job_id = await api.submit(tasks=[name])

    assert (await api.job(job_id))["request"]["tasks"] == [name]
