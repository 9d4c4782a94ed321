"""Several stages, one after the other: each runs if all before it have succeeded."""

import json
import os
import signal
import sys
from typing import Any

from tests.runner.runs import HANGS, Run

SECOND = "print('second')"


def start(run: Run, first: str, second: str = SECOND, **values: Any) -> None:
    """Start a runner with two Python programs, the first as the stage ``preparing``."""
    run.prepare(second)
    path = run.dir / "job.json"
    before = {"preparing": [sys.executable, "-c", first]}
    path.write_text(json.dumps({**json.loads(path.read_text()), "before": before, **values}))
    assert run.start_runner() == 0


async def test_the_log_names_each_stage(run: Run) -> None:
    start(run, "print('first')")

    end = await run.end()

    assert (end.reason, end.exit_code, end.stage) == ("exited", 0, None)
    assert run.log == "evalserver: preparing\nfirst\nevalserver: evaluating\nsecond\n"


async def test_no_stage_runs_after_one_that_failed(run: Run) -> None:
    start(run, "raise SystemExit(3)")

    end = await run.end()

    assert (end.reason, end.exit_code, end.stage) == ("exited", 3, "preparing")
    assert "second" not in run.log


async def test_a_stage_that_cannot_be_started_is_named(run: Run) -> None:
    start(run, "", before={"preparing": ["/no/such/program"]})

    end = await run.end()

    assert (end.reason, end.stage) == ("not_started", "preparing")


async def test_a_harness_that_cannot_be_started_keeps_the_output_of_the_stages_before(
    run: Run,
) -> None:
    start(run, "print('first')", argv=["/no/such/program"])

    end = await run.end()

    assert (end.reason, end.stage) == ("not_started", None)
    assert "first" in run.log


async def test_a_cancel_between_two_stages_starts_no_further_one(run: Run) -> None:
    start(run, f"open({str(run.dir / 'cancel')!r}, 'w')")

    end = await run.end()

    assert (end.reason, end.stage) == ("cancelled", "preparing")
    assert "second" not in run.log


async def test_the_time_limit_covers_all_stages(run: Run) -> None:
    start(run, "import time; time.sleep(0.3)", HANGS, timeout_s=0.2)

    end = await run.end()

    assert (end.reason, end.stage) == ("timed_out", "preparing")


async def test_processes_that_a_stage_leaves_are_ended_before_the_next(run: Run) -> None:
    start(run, "import subprocess; subprocess.Popen(['sleep', '10000'], start_new_session=True)")

    end = await run.end()

    assert (end.exit_code, end.leftovers) == (0, 1)


async def test_a_terminated_runner_ends_the_current_stage(run: Run) -> None:
    start(run, HANGS)
    await run.says("ready")

    os.kill(run.runner, signal.SIGTERM)

    end = await run.end()
    assert (end.reason, end.stage) == ("terminated", "preparing")
