"""What ``POST /evaluate`` rejects: with a clear 4xx, all errors at once, and without side
effects."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.support import Api, Json, request

REJECTED: dict[str, Json] = {
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
    "tasks   ": {"tasks": ["t" * 200] * 1_000},
    "num_gpus": {"num_gpus": 1025},
    "num_processes": {"num_processes": 0},
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
    "batch_size   ": {"batch_size": "auto:" + "1" * 5000},
    "batch_size    ": {"batch_size": "auto:²"},
    "device": {"device": "-x"},
    "gen_kwargs": {"gen_kwargs": 5},
    "gen_kwargs ": {"gen_kwargs": "a=1,b"},
    "gen_kwargs  ": {"gen_kwargs": "="},
    "gen_kwargs   ": {"gen_kwargs": "a=1,=2"},
    "gen_kwargs    ": {"gen_kwargs": " , "},
    "model_args": {"model_args": "pretrained=x"},
    "model_args.a,b": {"model_args": {"a,b": 1}},
    "model_args.x": {"model_args": {"x": "a\0b"}},
    "model_args.y": {"model_args": {"y": {"k" * 257: 1}}},
    "model_args ": {"model_args": {"a": [1] * 10_001}},
    "model_args  ": {"model_args": {f"k{number}": [[1], [2]] for number in range(2001)}},
    "output_dir": {"output_dir": "~/x"},
    "output_dir ": {"output_dir": "../x"},
    "log_samples": {"log_samples": "yes"},
    "labels": {"labels": ["a"]},
    "labels ": {"labels": {str(number): "x" for number in range(65)}},
    "labels.a": {"labels": {"a": 1}},
    "labels.a ": {"labels": {"a": "x" * 513}},
    'labels.""': {"labels": {"": "x"}},
    "timeout_s": {"timeout_s": 0},
    "max_attempts": {"max_attempts": 0},
    "seed": {"seed": -1},
    "priority": {"priority": "high"},
    "engine": {"engine": "lmms"},
    "lmms_engine_kwargs.model_path": {"lmms_engine_kwargs": {"model_path": "x"}},
    "lmms_engine_kwargs.checkpoint_type": {
        "lmms_engine_kwargs": {"model_path": "/x", "checkpoint_type": "best"}
    },
    "lmms_engine_kwargs.output_path": {
        "lmms_engine_kwargs": {"model_path": "/x", "output_path": "../x"}
    },
    "lmms_engine_kwargs.type": {"lmms_engine_kwargs": {"model_path": "/x", "type": "ema"}},
    "lmms_engine_kwargs": {"lmms_engine_kwargs": "/x"},
    "nonsense": {"nonsense": 1},
}


@pytest.mark.parametrize(
    ("field", "change"), REJECTED.items(), ids=[str(change)[:60] for change in REJECTED.values()]
)
async def test_an_invalid_field_is_named(api: Api, field: str, change: Json) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(**change))

    assert [error["field"] for error in problem["errors"]] == [field.strip()]


async def test_all_errors_are_reported_at_once(api: Api) -> None:
    body = {"tasks": [""], "limit": 0, "num_gpus": -1}

    problem = await api.call("POST", "/evaluate", 422, json=body)

    named = {error["field"] for error in problem["errors"]}
    assert named == {"model", "tasks.0", "limit", "num_gpus"}


async def test_an_unknown_field_is_rejected_with_a_suggestion(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(num_gpu=1))

    assert "Did you mean 'num_gpus'?" in problem["errors"][0]["message"]


async def test_a_rejected_request_changes_nothing(api: Api) -> None:
    await api.call("POST", "/evaluate", 422, json=request(limit=0))

    assert (await api.call("GET", "/queue"))["running_job"] is None


BODIES: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"{", 400),
    "nothing": (b"", 400),
    "not UTF-8": (b'{"model": "\xff"}', 400),
    "NaN": (b'{"model": "m", "tasks": ["t"], "limit": NaN}', 400),
    "a lone surrogate": (b'{"model": "\\ud800", "tasks": ["t"]}', 400),
    "nested too deeply": (b"[" * 100_000 + b"]" * 100_000, 400),
    "an integer of more than 64 bits": (
        b'{"model": "m", "tasks": ["t"], "model_args": {"a": 18446744073709551616}}',
        400,
    ),
    "an integer below those of 64 bits": (
        b'{"model": "m", "tasks": ["t"], "model_args": {"a": -9223372036854775809}}',
        400,
    ),
    "an integer of 5000 digits": (b'{"batch_size": ' + b"1" * 5000 + b"}", 400),
    "a name twice": (b'{"model": "m", "tasks": ["t"], "model": "n"}', 400),
    "a name twice below": (b'{"model_args": {"a": {"b": 1, "b": 1}}}', 400),
    "nested as deeply as can be read": (b"[" * 1000 + b"]" * 1000, 400),
    "an array": (b"[]", 422),
    "a number": (b"5", 422),
    "model_args nested too deeply": (
        b'{"model": "m", "tasks": ["t"], "model_args": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}",
        422,
    ),
    "too large": (b'{"model": "' + b"x" * 2_000_000 + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_an_unusable_body_is_rejected(api: Api, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}

    problem = await api.call("POST", "/evaluate", status, data=BytesIO(body), headers=headers)

    assert problem["status"] == status


async def test_a_circular_link_is_rejected(api: Api, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    body = request(output_dir=str(tmp_path / "loop"))

    problem = await api.call("POST", "/evaluate", 422, json=body)

    assert [error["field"] for error in problem["errors"]] == ["output_dir"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"model_args": {"a": 18446744073709551616}}', "the integer 18446744073709551616"),
        (b'{"seed": -' + b"9" * 300 + b"}", "the integer -99999"),
        (b'{"limit": 1, "limit": 2}', "the name 'limit' occurs twice"),
        (b"[" * 1000 + b"]" * 1000, "nested too deeply"),
    ],
)
async def test_unsupported_json_is_rejected_and_named(api: Api, body: bytes, message: str) -> None:
    headers = {"Content-Type": "application/json"}

    problem = await api.call("POST", "/evaluate", 400, data=body, headers=headers)

    assert message in problem["detail"]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 2**53 + 1])
async def test_a_64_bit_integer_is_preserved(api: Api, number: int) -> None:
    job_id = await api.submit(model_args={"number": number})

    assert (await api.job(job_id))["request"]["model_args"] == {"number": number}


@pytest.mark.parametrize(
    "text", ["a=1", "a=1,b=x", 'until=["a","b"],t=0', "a='x,y'", "a=1, b=2", "a=b=c", "a=,b=1,"]
)
async def test_generation_arguments_may_be_a_string(api: Api, text: str) -> None:
    job_id = await api.submit(gen_kwargs=text)

    assert (await api.job(job_id))["request"]["gen_kwargs"] == text


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


async def test_the_maximum_number_of_tasks_reaches_the_harness(api: Api) -> None:
    tasks = [f"{number:03d}" + "x" * 96 for number in range(1000)]

    job = await api.finished(await api.submit(tasks=tasks))

    assert job["status"] == "completed", job["error"]
