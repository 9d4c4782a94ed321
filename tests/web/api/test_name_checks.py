"""``POST /evaluate``: what is doomed is refused at once; what is not there yet is waited for."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import MakeApi
from tests.support import Api, Json, request, until

Asked = Callable[[], Awaitable[Api]]


@pytest.fixture
async def asked(api: Api) -> Api:
    """A server whose harness has told its tasks (mme, ai2d) and models (dummy)."""
    await api.call("GET", "/tasks")
    await api.call("GET", "/models")
    return api


async def refusal(api: Api, **fields: object) -> dict[str, str]:
    """The faults of a request, by field."""
    problem = await api.call("POST", "/evaluate", 422, json=request(**fields))
    return {each["field"]: each["message"] for each in problem["errors"]}


async def test_unknown_names_are_refused_with_the_nearest_known_ones(asked: Api) -> None:
    faults = await refusal(asked, model="dumy", tasks=["mme", "ai2"])

    assert set(faults) == {"model", "tasks.1"}
    assert "Did you mean 'dummy'?" in faults["model"]
    assert "Did you mean 'ai2d'?" in faults["tasks.1"]


async def test_a_refused_request_leaves_no_job(asked: Api) -> None:
    await refusal(asked, tasks=["ai2"])

    assert (await asked.call("GET", "/jobs"))["jobs"] == []


async def test_a_wildcard_is_known_when_something_is_like_it(asked: Api) -> None:
    await asked.submit(tasks=["ai*"])

    assert set(await refusal(asked, tasks=["zz*"])) == {"tasks.0"}


async def test_who_wants_no_check_gets_none(asked: Api) -> None:
    body = request(tasks=["ai2"], model_args={"pretrained": "/no/such/checkpoint"})

    await asked.call("POST", "/evaluate?validate=false", json=body)


async def test_no_name_is_refused_before_the_harness_has_told_any(api: Api) -> None:
    await api.submit(model="dumy")


async def test_what_was_told_is_known_after_a_restart(make_api: MakeApi) -> None:
    first = await make_api()
    await first.call("GET", "/models")

    second = await make_api()

    assert set(await refusal(second, model="dumy")) == {"model"}


async def test_a_path_with_too_long_a_name_is_of_no_checkpoint(api: Api) -> None:
    faults = await refusal(api, model_args={"pretrained": f"/{'x' * 300}"})

    assert set(faults) == {"model_args.pretrained"}


async def test_a_checkpoint_that_is_not_there_is_refused(api: Api) -> None:
    faults = await refusal(api, model_args={"pretrained": "/no/such/checkpoint"})

    assert "/no/such/checkpoint does not exist" in faults["model_args.pretrained"]


async def test_a_checkpoint_that_lacks_a_part_is_refused(api: Api, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    save(checkpoint)
    (checkpoint / "part-2").unlink()

    faults = await refusal(api, model_args={"pretrained": str(checkpoint)})

    assert "lacks part-2" in faults["model_args.pretrained"]


@pytest.mark.parametrize(
    "model_args",
    [
        {"pretrained": "org/model"},
        {"model": "/served/name", "base_url": "http://elsewhere/v1"},
        {"system_prompt": "/no_think"},
    ],
)
async def test_what_is_no_path_of_this_machine_is_let_through(api: Api, model_args: Json) -> None:
    await api.submit(model_args=model_args)


async def test_a_request_that_was_accepted_is_answered_again_though_its_checkpoint_is_gone(
    api: Api, tmp_path: Path
) -> None:
    save(tmp_path / "checkpoint")
    body = request(model_args={"pretrained": str(tmp_path / "checkpoint")})
    headers = {"Idempotency-Key": "a"}
    first = await api.call("POST", "/evaluate", json=body, headers=headers)
    (tmp_path / "checkpoint").rename(tmp_path / "moved")

    again = await api.call("POST", "/evaluate", json=body, headers=headers)

    assert again == first


async def test_a_checkpoint_is_waited_for_while_others_go_before(api: Api, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    waiting = await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=600)
    other = await api.finished(await api.submit())

    held = await api.job(waiting)
    assert (other["status"], held["status"]) == ("completed", "queued")
    assert f"{checkpoint} does not exist" in held["waiting_for"]

    save(checkpoint)
    job = await api.finished(waiting)
    assert job["status"] == "completed"


async def test_a_checkpoint_that_is_written_to_is_waited_for(api: Api, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    save(checkpoint)
    (checkpoint / "part-2").unlink()
    waiting = await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=600)

    async def is_told() -> bool:
        return "lacks part-2" in str((await api.job(waiting))["waiting_for"])

    await until(is_told)
    (checkpoint / "part-2").write_bytes(b"2")
    assert (await api.finished(waiting))["status"] == "completed"


async def test_a_checkpoint_that_does_not_come_in_time_fails_the_job(
    api: Api, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"

    job = await api.finished(
        await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=0.1)
    )

    assert job["status"] == "failed"
    assert job["error"] == f"The checkpoint {checkpoint} does not exist, 0.1 s after the submission"


async def test_a_job_that_waits_for_a_checkpoint_can_be_cancelled(api: Api, tmp_path: Path) -> None:
    model_args = {"pretrained": str(tmp_path / "checkpoint")}
    waiting = await api.submit(model_args=model_args, wait_for_path_s=600)
    await asyncio.sleep(0.2)

    await api.call("DELETE", f"/jobs/{waiting}")

    assert (await api.job(waiting))["status"] == "cancelled"


async def test_a_dry_run_tells_the_command_line_and_queues_nothing(api: Api) -> None:
    body = request(model_args={"note": "a,b", "api_key": "opensesame-1"}, limit=4)

    plan = await api.call("POST", "/evaluate?dry_run=1", json=body)

    assert {"--model=dummy", "--tasks=mme", "--limit=4"} <= set(plan["command"])
    assert "opensesame-1" not in json.dumps({**plan, "request": None})
    assert (await api.call("GET", "/jobs"))["jobs"] == []


async def test_a_dry_run_is_refused_as_the_run_would_be(api: Api) -> None:
    body = request(model_args={"pretrained": "/no/such/checkpoint"})

    await api.call("POST", "/evaluate?dry_run=1", 422, json=body)


def save(checkpoint: Path) -> None:
    """A checkpoint of two parts and their index."""
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    for name in ("part-1", "part-2"):
        (checkpoint / name).write_bytes(name.encode())
    weights = {"weight_map": {"a": "part-1", "b": "part-2"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(weights))
