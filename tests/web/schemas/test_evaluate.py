"""``POST /evaluate``: its response, and that every field is stored as it was sent."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from evalserver.core.request import REQUEST_FIELDS
from evalserver.web.schemas.evaluate_request import EvaluateSchema
from evalserver.web.schemas.queries import Bounds
from tests.conftest import MakeApi
from tests.support import Api, request

HANG = {"behave": "hang"}


async def test_the_response_has_the_shape_that_lmms_evals_clients_expect(api: Api) -> None:
    response = await api.call("POST", "/evaluate", json=request())

    assert response == {
        "job_id": str(UUID(response["job_id"])),
        "status": "queued",
        "position_in_queue": 0,
        "message": "Job queued successfully. Position in queue: 0",
    }


async def test_the_position_counts_the_jobs_ahead(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    await api.when(running, "running")
    await api.submit()

    response = await api.call("POST", "/evaluate", json=request())

    assert response["position_in_queue"] == 1


async def test_a_higher_priority_goes_before_waiting_jobs(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    await api.when(running, "running")
    await api.submit()

    response = await api.call("POST", "/evaluate", json=request(priority=5))

    assert response["position_in_queue"] == 0


async def test_the_job_shows_every_field_as_it_was_sent(make_api: MakeApi) -> None:
    api = await make_api(env_profiles={"azure": {"API_TYPE": "azure"}})
    sent = {
        "model": "qwen2_vl",
        "tasks": ["mme", "mmmu_val"],
        "model_args": {"pretrained": "a/b", "nested": {"list": [1, 2.5, None, True]}},
        "num_fewshot": 2,
        "batch_size": "auto:4",
        "device": "cuda:1",
        "limit": 0.25,
        "gen_kwargs": {"temperature": 0},
        "log_samples": False,
        "predict_only": True,
        "num_gpus": 2,
        "num_processes": 1,
        "output_dir": "relative/place",
        "engine": "lm_eval",
        "priority": -3,
        "labels": {"run": "r1", "empty": ""},
        "series": "7b-run3",
        "step": 100,
        "on_newer": "supersede",
        "on_full": "skip",
        "timeout_s": 90.5,
        "stall_after_s": 300.5,
        "on_stall": "fail",
        "max_attempts": 3,
        "seed": 7,
        "use_cache": True,
        "wait_for_path_s": 60.0,
        "lease": None,
        "lmms_engine_kwargs": {
            "model_path": "/checkpoints/100",
            "checkpoint_type": "ema",
            "output_path": "/merged",
        },
        "env_profile": "azure",
        "executor": "local",
        "harness_args": {"system_instruction": "a\nb", "samples": None},
    }
    await api.submit(model_args=HANG)
    job_id = await api.submit(**sent)

    job = await api.job(job_id)

    assert job["request"] == sent


async def test_null_means_absent_for_every_optional_field(api: Api) -> None:
    optional = ["model_args", "limit", "device", "num_gpus", "labels", "engine", "log_samples"]

    job_id = await api.submit(**dict.fromkeys(optional))

    assert (await api.job(job_id))["request"]["num_gpus"] == 1


async def test_a_request_without_an_engine_gets_the_servers_default(make_api: MakeApi) -> None:
    api = await make_api(default_engine="lm_eval")

    job_id = await api.submit()

    assert (await api.job(job_id))["engine"] == "lm_eval"


@pytest.mark.parametrize("name", REQUEST_FIELDS)
def test_the_example_of_every_field_is_accepted(name: str) -> None:
    row = REQUEST_FIELDS[name]
    bounds = Bounds(("lmms_eval", "lm_eval"), None, Path("/data"), ("/",))

    body = json.loads(json.dumps({"model": "m", "tasks": ["t"], name: row.example}))

    assert getattr(EvaluateSchema(bounds).load(body), name) == row.example
