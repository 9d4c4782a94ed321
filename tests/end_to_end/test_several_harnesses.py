"""Real harnesses that run at the same time on one machine do not meet.

One server runs two evaluations of two processes each with lmms-eval and two with lm-eval at once,
in one working directory and with one directory for temporary files. Each has the numbers and
answers that it has when nothing runs beside it.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import CAPITALS, Digits, RealServer
from tests.real_harness import interpreter
from tests.support import Api, Json, ServerProcess, until

pytestmark = [pytest.mark.real_harness("lmms-eval"), pytest.mark.real_harness("lm-eval")]

Numbers = tuple[list[Json], list[Json]]
"""The metrics of an evaluation, and its samples by document."""


@pytest.fixture
def lab(real_server: RealServer, digit_tasks: Path, tmp_path: Path) -> ServerProcess:
    """A server with both harnesses, four GPUs and two evaluations beside them."""
    config = tmp_path / "evalserver.toml"
    config.write_text(
        f'[engines.lm_eval]\npython = "{interpreter("lm-eval")}"\ninclude_path = "{CAPITALS}"\n'
    )
    options = ("--gpus", "0,1,2,3", "--max-running-without-gpu", "2", "--config", str(config))
    server = real_server("lmms-eval", digit_tasks, *options)
    server.cwd = tmp_path / "work"
    server.cwd.mkdir()
    return server


async def test_four_harnesses_at_once_have_the_results_of_each_alone(
    lab: ServerProcess, digits: Digits
) -> None:
    vision: Json = {"model": "async_openai", "tasks": ["digits_vqa"], "num_gpus": 2}
    language: Json = {"engine": "lm_eval", "model": "dummy", "tasks": ["capitals"], "num_gpus": 0}
    requests = [
        *({**vision, "model_args": digits.model_args, "limit": limit} for limit in (16, 32)),
        *({**language, "limit": limit} for limit in (6, 10)),
    ]
    async with lab as server:
        together = [await _submit(server.api, request) for request in requests]
        await until(lambda: _all_run(server.api, together))
        beside_others = [await _numbers(server.api, job_id) for job_id in together]
        alone = [
            await _numbers(server.api, await _submit(server.api, request)) for request in requests
        ]

    assert beside_others == alone
    assert [len(samples) for _, samples in alone] == [16, 32, 6, 10]
    assert server.cwd is not None
    assert list(server.cwd.iterdir()) == []


async def _submit(api: Api, request: Json) -> str:
    return await api.submit_unchecked(**request)


async def _all_run(api: Api, job_ids: list[str]) -> bool:
    queue: dict[str, Any] = await api.call("GET", "/queue")
    return sorted(queue["running_jobs"]) == sorted(job_ids)


async def _numbers(api: Api, job_id: str) -> Numbers:
    job = await api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    results = await api.call("GET", job["links"]["results"])
    (task,) = job["request"]["tasks"]
    page = await api.call("GET", f"{job['links']['self']}/samples/{task}?limit=100")
    return results["results"], sorted(page["samples"], key=lambda each: int(each["doc_id"]))
