"""Limits that the server's settings put on requests."""

from pathlib import Path

import pytest

from tests.conftest import MakeApi
from tests.support import request


async def test_a_time_limit_above_the_maximum_is_rejected(make_api: MakeApi) -> None:
    api = await make_api(max_timeout=60)

    problem = await api.call("POST", "/evaluate", 422, json=request(timeout_s=61))

    assert problem["errors"] == [
        {"field": "timeout_s", "message": "Must be at most 60 seconds on this server."}
    ]


async def test_a_request_without_a_time_limit_gets_the_servers_default(make_api: MakeApi) -> None:
    api = await make_api(default_timeout=60)

    job = await api.job(await api.submit())

    assert job["request"]["timeout_s"] == 60


async def test_the_servers_time_limit_stops_an_evaluation(make_api: MakeApi) -> None:
    api = await make_api(default_timeout=0.5)

    job = await api.finished(await api.submit(model_args={"behave": "hang"}))

    assert job["status"] == "failed"
    assert job["error"].startswith("The evaluation was stopped: it took longer than 0.5 s")


@pytest.mark.parametrize("kind", ["straight", "link", "the directory itself"])
async def test_output_must_not_be_in_the_servers_own_directory(
    make_api: MakeApi, data_dir: Path, tmp_path: Path, kind: str
) -> None:
    api = await make_api()
    (tmp_path / "link").symlink_to(data_dir)
    paths = {"straight": data_dir / "runs" / "x", "link": tmp_path / "link" / "x"}

    body = request(output_dir=str(paths.get(kind, data_dir)))
    problem = await api.call("POST", "/evaluate", 422, json=body)

    assert [each["field"] for each in problem["errors"]] == ["output_dir"]
