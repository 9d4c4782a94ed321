"""``--memory-per-job`` through a server: an evaluation that needs more fails, and is told why."""

from pathlib import Path

import pytest

from evalserver.executors import can_limit_memory
from evalserver.runner.cgroups import VARIABLE
from tests.conftest import MakeApi
from tests.support import ServerProcess

LIMIT_BYTES = 200 * 1024 * 1024


async def test_an_evaluation_beyond_its_limit_fails_with_the_limit(make_api: MakeApi) -> None:
    if not can_limit_memory():
        pytest.skip("this user may not limit memory, so --memory-per-job was NOT TESTED")
    api = await make_api(memory_per_job=LIMIT_BYTES)

    job = await api.finished(await api.submit(model_args={"behave": "eat_memory"}))

    assert (job["status"], job["failure"]["code"]) == ("failed", "host_out_of_memory")
    assert f"It may use {LIMIT_BYTES} bytes (--memory-per-job)." in job["failure"]["advice"]


async def test_a_limit_without_effect_is_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "none")
    server = ServerProcess(tmp_path / "data", "--memory-per-job", str(LIMIT_BYTES))
    async with server:
        job = await server.api.finished(await server.api.submit())

    assert job["status"] == "completed"
    assert "memory_per_job has no effect" in server.log.read_text()
