"""Sets of variables that requests name: values reach the harness, and nothing else."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from evalserver.server.cannot_start import CannotStart
from tests.conftest import MakeApi
from tests.support import Api

SECRET = "j-4711-oh-so-secret"  # noqa: S105 - not one
SHOWN = {"behave": "environment", "show": "JUDGE_API_KEY/API_TYPE/MODEL_VERSION"}


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """A file with a key, as a secret store mounts it."""
    path = tmp_path / "secrets" / "judge"
    path.parent.mkdir()
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def settings(secret_file: Path) -> dict[str, Any]:
    """Two profiles."""
    return {
        "env_profiles": {
            "azure": {
                "API_TYPE": "azure",
                "MODEL_VERSION": "gpt-judge-1",
                "JUDGE_API_KEY": {"file": str(secret_file)},
            },
            "plain": {"API_TYPE": "plain"},
        }
    }


@pytest.fixture
async def api(make_api: MakeApi, settings: dict[str, Any]) -> Api:
    """A server with these profiles."""
    return await make_api(**settings)


async def test_the_variables_reach_the_harness_and_secrets_are_masked(api: Api) -> None:
    job = await api.finished(await api.submit(model_args=SHOWN, env_profile="azure"))
    printed = (Path(job["run_dir"]) / "eval.log").read_text()
    written = (Path(job["output_dir"]) / "environment.txt").read_text()
    started = json.loads((Path(job["run_dir"]) / "job.json").read_text())

    assert started["env"]["JUDGE_API_KEY"] == SECRET
    assert "API_TYPE=azure\nMODEL_VERSION=gpt-judge-1\n" in printed
    assert SECRET not in printed + written
    assert f"JUDGE_API_KEY={'*' * len(SECRET)}" in written


async def test_a_secret_is_masked_whatever_its_variable_is_called(
    make_api: MakeApi, secret_file: Path
) -> None:
    variables = {"MODEL_VERSION": {"file": str(secret_file)}}
    api = await make_api(env_profiles={"own": variables})

    job = await api.finished(await api.submit(model_args=SHOWN, env_profile="own"))

    assert SECRET not in (Path(job["run_dir"]) / "eval.log").read_text() + json.dumps(job)
    assert job["provenance"]["environment"]["MODEL_VERSION"] == "***"


async def test_no_response_event_or_row_has_a_secret(api: Api, data_dir: Path) -> None:
    body = {"model": "dummy", "tasks": ["mme"], "env_profile": "azure", "model_args": SHOWN}
    plan = await api.call("POST", "/evaluate?dry_run=1", json=body)
    job = await api.finished(await api.submit(model_args=SHOWN, env_profile="azure"))
    page = await api._session.get("/ui/system")

    shown = json.dumps([plan, job]) + await page.text()
    with sqlite3.connect(data_dir / "evalserver.db") as database:
        stored = "\n".join(database.iterdump())

    assert SECRET not in shown + stored
    assert job["request"]["env_profile"] == plan["request"]["env_profile"] == "azure"


async def test_a_profile_does_not_reach_other_jobs(api: Api) -> None:
    job = await api.finished(await api.submit(model_args=SHOWN))

    assert "API_TYPE=None" in (Path(job["run_dir"]) / "eval.log").read_text()


async def test_a_new_secret_is_used_from_the_next_job_on(api: Api, secret_file: Path) -> None:
    secret_file.write_text("j-4712-rotated-secret")

    job = await api.finished(await api.submit(model_args=SHOWN, env_profile="azure"))

    started = json.loads((Path(job["run_dir"]) / "job.json").read_text())
    assert started["env"]["JUDGE_API_KEY"] == "j-4712-rotated-secret"
    assert "rotated-secret" not in (Path(job["run_dir"]) / "eval.log").read_text()


async def test_a_secret_that_is_gone_fails_the_job_and_says_which(
    api: Api, secret_file: Path
) -> None:
    secret_file.unlink()

    job = await api.finished(await api.submit(env_profile="azure"))

    assert job["status"] == "failed"
    assert "env_profiles.azure.JUDGE_API_KEY" in job["error"]
    assert "No such file" in job["error"]


async def test_an_unknown_profile_is_rejected_with_the_known_ones(api: Api) -> None:
    body = {"model": "dummy", "tasks": ["mme"], "env_profile": "azur"}

    problem = await api.call("POST", "/evaluate", 422, json=body)

    [error] = problem["errors"]
    assert error["field"] == "env_profile"
    assert "Did you mean 'azure'? Known profiles: azure, plain." in error["message"]


async def test_an_engines_table_has_a_default_profile(
    make_api: MakeApi, settings: dict[str, Any]
) -> None:
    engine = {"type": "lmms_eval", "defaults": {"env_profile": "azure"}}
    api = await make_api(**settings, engines={"judged": engine})

    by_default = await api.finished(await api.submit(engine="judged", model_args=SHOWN))
    chosen = await api.finished(
        await api.submit(engine="judged", model_args=SHOWN, env_profile="plain")
    )

    logs = [(Path(job["run_dir"]) / "eval.log").read_text() for job in (by_default, chosen)]
    assert ["API_TYPE=azure" in logs[0], "API_TYPE=plain" in logs[1]] == [True, True]


@pytest.mark.parametrize("name", ["EVALSERVER_TOKEN", "RANK", "SLURM_JOB_ID", "LISTEN_FDS"])
async def test_variables_of_the_server_and_of_launchers_are_refused(
    make_api: MakeApi, name: str
) -> None:
    with pytest.raises(CannotStart, match=rf"env_profiles\.own\.{name}: a harness must not get"):
        await make_api(env_profiles={"own": {name: "1"}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"short", "fewer than 8 characters"),
        (b"\xff" * 9, "is not UTF-8"),
        (b"x" * 70_000, "more than 65536 bytes"),
    ],
)
async def test_a_file_without_a_usable_secret_prevents_the_start(
    make_api: MakeApi, secret_file: Path, content: bytes | None, message: str
) -> None:
    secret_file.unlink()
    if content is not None:
        secret_file.write_bytes(content)

    with pytest.raises(CannotStart, match=message):
        await make_api(env_profiles={"own": {"JUDGE_API_KEY": {"file": str(secret_file)}}})


async def test_a_pipe_in_place_of_a_secret_does_not_block_the_start(
    make_api: MakeApi, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CannotStart, match="is not a regular file"):
        await make_api(env_profiles={"own": {"JUDGE_API_KEY": {"file": str(tmp_path / "pipe")}}})


@pytest.mark.parametrize(
    "tables",
    [
        {"JUDGE_API_KEY": SECRET},
        {"own": {"JUDGE_API_KEY": [SECRET]}},
        {"own": {"JUDGE_API_KEY": {"value": SECRET}}},
        {"own": {"JUDGE-API-KEY": SECRET}},
        {"own": {"roles": [SECRET]}},
    ],
)
async def test_an_invalid_table_is_named_without_its_values(
    make_api: MakeApi, tables: dict[str, Any]
) -> None:
    with pytest.raises((CannotStart, ValueError), match="env_profiles") as raised:
        await make_api(env_profiles=tables)

    assert SECRET not in str(raised.value)


async def test_an_engines_default_profile_must_exist(make_api: MakeApi) -> None:
    engine = {"type": "lmms_eval", "defaults": {"env_profile": "azure"}}

    with pytest.raises(CannotStart, match=r"engines\.own\.defaults\.env_profile: There is no"):
        await make_api(engines={"own": engine})
