"""``harness_args``, seeds and tasks of packages over HTTP: what is accepted, recorded and shown."""

from typing import Any

import pytest

from tests.conftest import MakeApi
from tests.support import Api, request

SECRET = "sk-abcdefghijklmnopqrstuvwx"  # noqa: S105 - the test's own


async def errors_of(api: Api, **fields: object) -> dict[str, str]:
    """Return the errors of a request by field."""
    problem = await api.call("POST", "/evaluate", 422, json=request(**fields))
    return {each["field"]: each["message"] for each in problem["errors"]}


async def test_an_invalid_option_is_rejected_under_its_name(api: Api) -> None:
    errors = await errors_of(api, harness_args={"repeats": "3", "repeat": 3, "offset": 1})

    assert set(errors) == {"harness_args.repeats", "harness_args.repeat"}
    assert "Did you mean 'repeats'?" in errors["harness_args.repeat"]


@pytest.mark.parametrize("value", [[], "a=1", 5, {"not a name": 1}])
async def test_options_are_an_object_of_names(api: Api, value: object) -> None:
    assert await errors_of(api, harness_args=value)


async def test_the_operators_options_apply_unless_the_request_has_its_own(
    make_api: MakeApi,
) -> None:
    options = {"repeats": 2, "force_simple": True, "trust_remote_code": True}
    api = await make_api(engines={"lmms_eval": {"harness_args": options}})

    job_id = await api.submit(harness_args={"repeats": 3, "force_simple": None})

    recorded = (await api.job(job_id))["request"]["harness_args"]
    assert recorded == {"repeats": 3, "force_simple": None, "trust_remote_code": True}


async def test_options_are_part_of_the_identity_of_a_submission(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    body = request(harness_args={"repeats": 2})
    await api.call("POST", "/evaluate", json=body, headers=headers)

    other = request(harness_args={"repeats": 3})
    problem = await api.call("POST", "/evaluate", 422, json=other, headers=headers)

    assert "idempotency key was used" in problem["detail"]


async def test_secrets_in_options_are_masked_in_what_would_run(make_api: MakeApi) -> None:
    table = {"allow": ["hf_hub_log_args"]}
    api = await make_api(engines={"lmms_eval": table})

    preview = await api.call(
        "POST", "/evaluate?dry_run=1", json=request(harness_args={"hf_hub_log_args": {"k": SECRET}})
    )

    assert SECRET not in str(preview["command"])
    assert SECRET not in str(preview.get("files"))


async def test_secrets_of_the_operators_options_are_not_shown(make_api: MakeApi) -> None:
    options = {"hf_hub_log_args": {"token": SECRET}}
    api = await make_api(engines={"lmms_eval": {"harness_args": options}})

    job = await api.job(await api.submit())

    assert job["request"]["harness_args"] == {"hf_hub_log_args": {"token": "[secret]"}}


async def test_several_seeds_are_recorded_as_they_were_sent(api: Api) -> None:
    seeds: list[Any] = [0, None, 8, 52]

    job = await api.job(await api.submit(seed=seeds))

    assert job["request"]["seed"] == seeds


@pytest.mark.parametrize("seed", ["42", 1.0, True, [], [1, 2], [1, 2, 3, "4"], 2**63, -1])
async def test_an_invalid_seed_is_rejected(api: Api, seed: object) -> None:
    assert set(await errors_of(api, seed=seed)) == {"seed"}


async def test_a_task_of_a_package_is_recorded_and_found_in_one_spelling(api: Api) -> None:
    job_id = await api.submit_unchecked(
        engine="inspect", model="mockllm/model", tasks=["inspect_evals/gsm8k"]
    )

    assert (await api.job(job_id))["request"]["tasks"] == ["inspect_evals:gsm8k"]
    for spelling in ("inspect_evals/gsm8k", "inspect_evals:gsm8k"):
        found = await api.call("GET", "/jobs", params={"task": spelling})
        assert [job["job_id"] for job in found["jobs"]] == [job_id]


async def test_a_task_of_a_package_is_rejected_for_other_harnesses(api: Api) -> None:
    errors = await errors_of(api, tasks=["lab/task"])

    assert errors == {"tasks.0": "Must be the name of a registered task, not a path."}
