"""Tasks by the path of their file, in a directory that the operator names: with real harnesses."""

from pathlib import Path

import pytest

from tests.end_to_end.conftest import CAPITALS, Digits, real_server
from tests.support import results_file


@pytest.mark.real_harness("lmms-eval")
async def test_lmms_eval_evaluates_a_task_file(tmp_path: Path, digits: Digits) -> None:
    file = digits.tasks / "digits_vqa.yaml"
    options = ("--task-path", str(digits.tasks))
    async with real_server(tmp_path, "lmms-eval", None, *options) as server:
        job = await server.api.finished(
            await server.api.submit(
                model="async_openai", model_args=digits.model_args, tasks=[str(file)], limit=4
            )
        )

    written = results_file(job)["results"]["digits_vqa"]
    assert job["result"]["digits-svc"]["metrics"]["digits_vqa"]["acc,none"] == written["acc,none"]


@pytest.mark.real_harness("lm-eval")
async def test_lm_eval_evaluates_a_task_file(tmp_path: Path) -> None:
    file = CAPITALS / "capitals.yaml"
    options = ("--default-engine", "lm_eval", "--task-path", str(CAPITALS))
    async with real_server(tmp_path, "lm-eval", None, *options) as server:
        job = await server.api.finished(await server.api.submit(tasks=[str(file)], limit=4))

    written = results_file(job)["results"]["capitals"]
    assert (
        next(iter(job["result"].values()))["metrics"]["capitals"]["acc,none"] == written["acc,none"]
    )
