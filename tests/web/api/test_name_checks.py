"""``POST /evaluate``: unknown names are rejected; checkpoints that do not exist yet are awaited."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.conftest import MakeApi
from tests.support import Api, Json, request, until


@pytest.fixture
async def api_with_catalog(api: Api) -> Api:
    """A server whose harness has reported its tasks (mme, ai2d) and models (dummy)."""
    await api.call("GET", "/tasks")
    await api.call("GET", "/models")
    return api


async def errors_of(api: Api, **fields: object) -> dict[str, str]:
    """Return the errors of a request by field."""
    problem = await api.call("POST", "/evaluate", 422, json=request(**fields))
    return {each["field"]: each["message"] for each in problem["errors"]}


async def test_unknown_names_are_rejected_with_suggestions(api_with_catalog: Api) -> None:
    errors = await errors_of(api_with_catalog, model="dumy", tasks=["mme", "ai2"])

    assert set(errors) == {"model", "tasks.1"}
    assert "Did you mean 'dummy'?" in errors["model"]
    assert "Did you mean 'ai2d'?" in errors["tasks.1"]


async def test_a_rejected_request_creates_no_job(api_with_catalog: Api) -> None:
    await errors_of(api_with_catalog, tasks=["ai2"])

    assert (await api_with_catalog.call("GET", "/jobs"))["jobs"] == []


async def test_a_wildcard_is_valid_if_it_matches_a_task(api_with_catalog: Api) -> None:
    await api_with_catalog.submit(tasks=["ai*"])

    assert set(await errors_of(api_with_catalog, tasks=["zz*"])) == {"tasks.0"}


async def test_the_check_can_be_disabled(api_with_catalog: Api) -> None:
    body = request(tasks=["ai2"], model_args={"pretrained": "/no/such/checkpoint"})

    await api_with_catalog.call("POST", "/evaluate?validate=false", json=body)


async def test_no_name_is_rejected_before_the_harness_has_reported_any(api: Api) -> None:
    await api.submit(model="dumy")


async def test_reported_names_are_known_after_a_restart(make_api: MakeApi) -> None:
    first = await make_api()
    await first.call("GET", "/models")

    second = await make_api()

    assert set(await errors_of(second, model="dumy")) == {"model"}


async def test_a_path_with_an_overlong_name_is_not_a_checkpoint(api: Api) -> None:
    errors = await errors_of(api, model_args={"pretrained": f"/{'x' * 300}"})

    assert set(errors) == {"model_args.pretrained"}


async def test_a_missing_checkpoint_is_rejected(api: Api) -> None:
    errors = await errors_of(api, model_args={"pretrained": "/no/such/checkpoint"})

    assert "/no/such/checkpoint does not exist" in errors["model_args.pretrained"]


async def test_an_incomplete_checkpoint_is_rejected(api: Api, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    save_checkpoint(checkpoint)
    (checkpoint / "part-2").unlink()

    errors = await errors_of(api, model_args={"pretrained": str(checkpoint)})

    assert "lacks part-2" in errors["model_args.pretrained"]


@pytest.mark.parametrize(
    "model_args",
    [
        {"pretrained": "org/model"},
        {"model": "/served/name", "base_url": "http://elsewhere/v1"},
        {"system_prompt": "/no_think"},
    ],
)
async def test_a_model_that_is_not_a_local_path_is_accepted(api: Api, model_args: Json) -> None:
    await api.submit(model_args=model_args)


async def test_an_accepted_request_is_replayed_after_its_checkpoint_is_gone(
    api: Api, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "checkpoint")
    body = request(model_args={"pretrained": str(tmp_path / "checkpoint")})
    headers = {"Idempotency-Key": "a"}
    first = await api.call("POST", "/evaluate", json=body, headers=headers)
    (tmp_path / "checkpoint").rename(tmp_path / "moved")

    again = await api.call("POST", "/evaluate", json=body, headers=headers)

    assert again == first


async def test_jobs_waiting_for_a_checkpoint_do_not_block_others(api: Api, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    waiting = await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=600)
    other = await api.finished(await api.submit())

    held_back = await api.job(waiting)
    assert (other["status"], held_back["status"]) == ("completed", "queued")
    assert f"{checkpoint} does not exist" in held_back["waiting_for"]

    save_checkpoint(checkpoint)
    job = await api.finished(waiting)
    assert job["status"] == "completed"


async def test_a_checkpoint_still_being_written_is_awaited(api: Api, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    save_checkpoint(checkpoint)
    (checkpoint / "part-2").unlink()
    waiting = await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=600)

    async def reports_missing_part() -> bool:
        return "lacks part-2" in str((await api.job(waiting))["waiting_for"])

    await until(reports_missing_part)
    (checkpoint / "part-2").write_bytes(b"2")
    assert (await api.finished(waiting))["status"] == "completed"


async def test_a_checkpoint_that_does_not_arrive_in_time_fails_the_job(
    api: Api, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"

    job = await api.finished(
        await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=0.1)
    )

    assert job["status"] == "failed"
    assert job["error"] == f"The checkpoint {checkpoint} does not exist, 0.1 s after the submission"


async def test_a_job_waiting_for_a_checkpoint_can_be_cancelled(api: Api, tmp_path: Path) -> None:
    model_args = {"pretrained": str(tmp_path / "checkpoint")}
    waiting = await api.submit(model_args=model_args, wait_for_path_s=600)
    await asyncio.sleep(0.2)

    await api.call("DELETE", f"/jobs/{waiting}")

    assert (await api.job(waiting))["status"] == "cancelled"


async def test_a_dry_run_shows_the_command_line_and_queues_nothing(api: Api) -> None:
    body = request(model_args={"note": "a,b", "api_key": "opensesame-1"}, limit=4)

    plan = await api.call("POST", "/evaluate?dry_run=1", json=body)

    assert {"--model=dummy", "--tasks=mme", "--limit=4"} <= set(plan["command"])
    assert "opensesame-1" not in json.dumps({**plan, "request": None})
    assert (await api.call("GET", "/jobs"))["jobs"] == []


async def test_a_dry_run_is_validated_like_a_real_one(api: Api) -> None:
    body = request(model_args={"pretrained": "/no/such/checkpoint"})

    await api.call("POST", "/evaluate?dry_run=1", 422, json=body)


def save_checkpoint(checkpoint: Path) -> None:
    """Save a checkpoint of two shards and their index."""
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    for name in ("part-1", "part-2"):
        (checkpoint / name).write_bytes(name.encode())
    weights = {"weight_map": {"a": "part-1", "b": "part-2"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(weights))
