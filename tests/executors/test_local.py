"""The local executor with real runners: starting, finding again, stopping, cleaning up."""

import asyncio
import json
import os
import signal
import stat
from dataclasses import replace

import pytest

from evalserver.executors import (
    Attempt,
    ExecutorError,
    Exit,
    ExitReason,
    LocalExecutor,
    Lost,
    runner_pid,
)
from evalserver.runner import files
from tests.executors.conftest import Lab, said
from tests.runner.runs import HANGS, HIDES, is_running
from tests.support import WAIT_SECONDS


def kill_runner(attempt: Attempt) -> None:
    """End a runner as the out-of-memory killer does."""
    pid = runner_pid(attempt.run_dir)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def test_waiting_ends_with_how_the_attempt_exited(lab: Lab) -> None:
    attempt = await lab.started("print('ready'); raise SystemExit(7)")

    end = await lab.executor.wait(attempt.run_dir)

    assert isinstance(end, Exit)
    assert (end.reason, end.exit_code, end.error) == (ExitReason.EXITED, 7, None)


async def test_an_attempt_that_is_stopped_was_cancelled(lab: Lab) -> None:
    attempt = await lab.started(HANGS)

    await lab.executor.stop(attempt.run_dir)
    end = await lab.executor.wait(attempt.run_dir)

    assert isinstance(end, Exit)
    assert (end.reason, end.exit_code) == (ExitReason.CANCELLED, 128 + signal.SIGTERM)


async def test_an_attempt_that_is_stopped_before_its_start_never_runs(lab: Lab) -> None:
    attempt = lab.attempt(HANGS)

    await lab.executor.stop(attempt.run_dir)
    await lab.executor.start(attempt)
    end = await lab.executor.wait(attempt.run_dir)

    assert isinstance(end, Exit)
    assert (end.reason, end.exit_code) == (ExitReason.CANCELLED, None)


async def test_an_attempt_that_takes_too_long_has_timed_out(lab: Lab) -> None:
    attempt = lab.attempt(HANGS, timeout_s=0.5)
    await lab.executor.start(attempt)

    end = await lab.executor.wait(attempt.run_dir)

    assert isinstance(end, Exit)
    assert end.reason is ExitReason.TIMED_OUT


async def test_waiting_ends_with_the_loss_of_a_runner_that_was_killed(lab: Lab) -> None:
    attempt = await lab.started(HANGS)
    waiting = asyncio.create_task(lab.executor.wait(attempt.run_dir))

    kill_runner(attempt)

    assert await asyncio.wait_for(waiting, WAIT_SECONDS) == Lost("it was killed")


async def test_another_executor_finds_a_running_attempt_again(lab: Lab) -> None:
    attempt = await lab.started(HANGS)

    waiting = asyncio.create_task(LocalExecutor().wait(attempt.run_dir))
    await LocalExecutor().stop(attempt.run_dir)
    end = await asyncio.wait_for(waiting, WAIT_SECONDS)

    assert isinstance(end, Exit)
    assert end.reason is ExitReason.CANCELLED


async def test_another_executor_learns_how_an_attempt_ended_meanwhile(lab: Lab) -> None:
    attempt = await lab.started("print('ready'); raise SystemExit(3)")
    end = await lab.executor.wait(attempt.run_dir)

    assert await LocalExecutor().wait(attempt.run_dir) == end


async def test_a_wait_that_is_given_up_leaves_the_attempt_alone(lab: Lab) -> None:
    attempt = await lab.started(HANGS)
    waiting = asyncio.create_task(lab.executor.wait(attempt.run_dir))
    await asyncio.sleep(0.1)

    waiting.cancel()
    await asyncio.wait([waiting])

    assert files.lock_is_held(attempt.run_dir)


async def test_an_attempt_is_started_only_once(lab: Lab) -> None:
    attempt = await lab.started("print('ready')")
    end = await lab.executor.wait(attempt.run_dir)

    await lab.executor.start(attempt)

    assert await lab.executor.wait(attempt.run_dir) == end
    assert (attempt.run_dir / files.LOG_FILE).read_text() == "ready\n"


async def test_starting_a_running_attempt_again_does_nothing(lab: Lab) -> None:
    attempt = await lab.started(HANGS)
    runner = runner_pid(attempt.run_dir)

    await lab.executor.start(attempt)

    assert runner_pid(attempt.run_dir) == runner
    assert runner is not None
    assert is_running(runner)


async def test_a_start_that_is_given_up_still_leaves_a_supervised_attempt(lab: Lab) -> None:
    attempt = lab.attempt(HANGS)
    starting = asyncio.create_task(lab.executor.start(attempt))
    await asyncio.sleep(0)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert files.lock_is_held(attempt.run_dir)
    assert lab.executor.was_started(attempt.run_dir)


async def test_an_attempt_counts_as_started_from_its_runner_on(lab: Lab) -> None:
    attempt = lab.attempt("print('ready')")
    await lab.executor.reserve(attempt.run_dir)
    before = lab.executor.was_started(attempt.run_dir)

    await lab.executor.start(attempt)
    running = lab.executor.was_started(attempt.run_dir)
    await lab.executor.wait(attempt.run_dir)

    assert (before, running, lab.executor.was_started(attempt.run_dir)) == (False, True, True)


async def test_strays_of_an_attempt_are_killed_and_those_of_another_are_not(lab: Lab) -> None:
    lost, other = await lab.started(HIDES), await lab.started(HANGS)
    kill_runner(lost)
    assert isinstance(await lab.executor.wait(lost.run_dir), Lost)
    hidden = int((await said(lost, "hidden")).split()[1])

    strays = await lab.executor.end_strays(lost.run_dir, lost.token)

    assert strays.ended >= 1
    assert not is_running(hidden)
    assert files.lock_is_held(other.run_dir)


async def test_what_an_attempt_is_given_is_for_its_owners_eyes_only(lab: Lab) -> None:
    attempt = replace(lab.attempt("print('ready')"), files={"config.yaml": "api_key: secret"})

    await lab.executor.start(attempt)

    written = [attempt.run_dir / name for name in (files.JOB_FILE, "config.yaml")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in written] == [0o600, 0o600]
    assert json.loads(written[0].read_text())["argv"] == list(attempt.argv)


async def test_files_and_directories_are_there_before_the_harness_runs(lab: Lab) -> None:
    output = lab.directory / "some" / "output"
    attempt = lab.attempt(f"import os; print('ready', os.path.isdir({str(output)!r}))")
    attempt = replace(attempt, directories=(output,))

    await lab.executor.start(attempt)

    assert await said(attempt, "ready") == "ready True\n"


async def test_a_run_directory_that_cannot_be_made_is_named(lab: Lab) -> None:
    (lab.directory / "file").write_text("")
    run_dir = lab.directory / "file" / "attempt-1"

    with pytest.raises(ExecutorError, match=rf"^cannot prepare {run_dir}: Not a directory$"):
        await lab.executor.start(replace(lab.attempt("pass"), run_dir=run_dir))


async def test_an_output_directory_that_cannot_be_made_is_named(lab: Lab) -> None:
    (lab.directory / "file").write_text("")
    output = lab.directory / "file" / "output"

    with pytest.raises(ExecutorError, match=rf"^cannot prepare {output}: Not a directory$"):
        await lab.executor.start(replace(lab.attempt("pass"), directories=(output,)))
