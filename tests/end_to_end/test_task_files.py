"""Tasks given by file path, in a directory configured by the operator, with real harnesses."""

import pytest

from tests.end_to_end.conftest import CAPITALS, Digits, RealServer
from tests.support import results_file


@pytest.mark.real_harness("lmms-eval")
async def test_lmms_eval_evaluates_a_task_file(real_server: RealServer, digits: Digits) -> None:
    file = digits.tasks / "digits_vqa.yaml"
    options = ("--task-path", str(digits.tasks))
    async with real_server("lmms-eval", None, *options) as server:
        job = await server.api.finished(
            await server.api.submit(
                model="async_openai", model_args=digits.model_args, tasks=[str(file)], limit=4
            )
        )

    written = results_file(job)["results"]["digits_vqa"]
    assert job["result"]["digits-svc"]["metrics"]["digits_vqa"]["acc,none"] == written["acc,none"]


@pytest.mark.real_harness("lm-eval")
async def test_lm_eval_evaluates_a_task_file(real_server: RealServer) -> None:
    file = CAPITALS / "capitals.yaml"
    options = ("--task-path", str(CAPITALS))
    async with real_server("lm-eval", None, *options) as server:
        job = await server.api.finished(await server.api.submit(tasks=[str(file)], limit=4))

    written = results_file(job)["results"]["capitals"]
    assert (
        next(iter(job["result"].values()))["metrics"]["capitals"]["acc,none"] == written["acc,none"]
    )
