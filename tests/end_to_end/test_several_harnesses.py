"""Real harnesses that run at the same time on one machine do not meet.

Two evaluations of two processes each with lmms-eval and two with lm-eval share a working directory
and a directory for temporary files. Each has the numbers that it has when nothing runs beside it.
"""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalserver.attempts.launch import LaunchContext, Planner
from evalserver.attempts.run_directories import RunDirectories
from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, make_engines
from evalserver.engines.environment import harness_environment
from evalserver.executors import Exit, LocalExecutor
from tests.end_to_end.conftest import CAPITALS, Digits
from tests.real_harness import interpreter, offline_environment

pytestmark = [pytest.mark.real_harness("lmms-eval"), pytest.mark.real_harness("lm-eval")]

LANGUAGE = [EvaluateRequest("dummy", ("capitals",), limit=limit) for limit in (6, 10)]


Numbers = tuple[list[tuple[str, float, int | None]], list[list[tuple[int, Any]]]]
"""The metrics of an evaluation, and the answers of each task by document."""


class Machine:
    """Runs evaluations with the engines of a server, started as the server starts them."""

    def __init__(self, place: Path, digit_tasks: Path) -> None:
        self.work, self.temporary = place / "work", place / "tmp"
        self.work.mkdir()
        self.temporary.mkdir()
        environment = {**offline_environment(place / "hub"), "TMPDIR": str(self.temporary)}
        context = LaunchContext(harness_environment(environment), self.work, 5.0)
        self._engines: dict[str, Engine] = {
            "lmms_eval": _engine("lmms-eval", digit_tasks),
            "lm_eval": _engine("lm-eval", CAPITALS),
        }
        self._directories = RunDirectories(place / "runs", "")
        self._planner = Planner(self._engines, self._directories, context)
        self._executor = LocalExecutor()
        self._jobs = 0

    async def numbers(self, engine: str, request: EvaluateRequest) -> Numbers:
        """Run an evaluation to its end. Returns its metrics and samples."""
        self._jobs += 1
        job = NewJob(f"job-{self._jobs}", engine, request, "tester")
        paths = self._directories.first_attempt(job)
        await self._executor.start(self._planner.launch_spec(job, paths, job.job_id))
        end = await self._executor.wait(paths.run_dir)
        log = (paths.run_dir / "eval.log").read_text()
        assert isinstance(end, Exit), log
        assert end.exit_code == 0, log
        results = self._engines[engine].read_results(request, paths)
        samples = self._engines[engine].samples_files(results.result)
        answers = []
        for path in samples.values():
            lines = map(json.loads, path.read_text().splitlines())
            answers.append(sorted((each["doc_id"], each["filtered_resps"]) for each in lines))
        return [(each.metric, each.value, each.n) for each in results.metrics], answers


def _engine(harness: str, tasks: Path) -> Engine:
    name = harness.replace("-", "_")
    return make_engines(str(interpreter(harness)), str(tasks), {name: {}})[name]


async def test_four_harnesses_at_once_have_the_results_of_each_alone(
    tmp_path: Path, digit_tasks: Path, digits: Digits
) -> None:
    machine = Machine(tmp_path, digit_tasks)
    vision = [
        EvaluateRequest("async_openai", ("digits_vqa",), digits.model_args, limit=limit, num_gpus=2)
        for limit in (16, 64)
    ]
    jobs = [("lmms_eval", each) for each in vision] + [("lm_eval", each) for each in LANGUAGE]

    together = await asyncio.gather(*(machine.numbers(*job) for job in jobs))

    assert together[0] == await machine.numbers("lmms_eval", replace(vision[0], num_gpus=1))
    assert together[3] == await machine.numbers("lm_eval", LANGUAGE[1])
    assert [len(answers[0]) for _, answers in together] == [16, 64, 6, 10]
    assert list(machine.work.iterdir()) == []
