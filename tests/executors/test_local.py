"""The local executor with real runners: starting, finding, stopping, and killing orphans."""

import asyncio
import json
import os
import signal
import stat
import sys
from dataclasses import replace

import pytest

from evalserver.executors import (
    AttemptInfo,
    ExecutorError,
    Exit,
    ExitReason,
    LaunchSpec,
    Lost,
)
from evalserver.executors.run_files import runner_pid
from evalserver.runner import files
from tests.executors.conftest import Lab, log_containing
from tests.runner.runs import HANGS, HIDES, is_running
from tests.support import WAIT_SECONDS


def kill_runner(spec: LaunchSpec) -> None:
    """End a runner as the out-of-memory killer does."""
    pid = runner_pid(spec.run_dir)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def test_an_attempt_that_is_stopped_before_its_start_never_runs(lab: Lab) -> None:
    spec = lab.spec(HANGS)

    await lab.executor.stop(spec.run_dir)
    await lab.executor.start(spec)
    end = await lab.executor.wait(spec.run_dir)

    assert isinstance(end, Exit)
    assert (end.reason, end.exit_code) == (ExitReason.CANCELLED, None)


async def test_wait_reports_a_killed_runner_as_lost(lab: Lab) -> None:
    spec = await lab.running(HANGS)
    waiting = asyncio.create_task(lab.executor.wait(spec.run_dir))

    kill_runner(spec)

    assert await asyncio.wait_for(waiting, WAIT_SECONDS) == Lost("it was killed")


async def test_an_attempt_is_started_only_once(lab: Lab) -> None:
    spec = await lab.running("print('ready')")
    end = await lab.executor.wait(spec.run_dir)

    await lab.executor.start(spec)

    assert await lab.executor.wait(spec.run_dir) == end
    assert (spec.run_dir / files.LOG_FILE).read_text() == "ready\n"


async def test_a_cancelled_start_still_leaves_a_supervised_attempt(lab: Lab) -> None:
    spec = lab.spec(HANGS)
    starting = asyncio.create_task(lab.executor.start(spec))
    await asyncio.sleep(0)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert files.lock_is_held(spec.run_dir)
    assert await lab.executor.was_started(spec.run_dir)


async def test_an_attempt_counts_as_started_once_its_runner_exists(lab: Lab) -> None:
    spec = lab.spec("print('ready')")
    await lab.executor.reserve(spec.run_dir)
    before = await lab.executor.was_started(spec.run_dir)

    await lab.executor.start(spec)
    running = await lab.executor.was_started(spec.run_dir)
    await lab.executor.wait(spec.run_dir)

    assert (before, running, await lab.executor.was_started(spec.run_dir)) == (False, True, True)


async def test_an_attempt_is_described_by_its_launch_spec(lab: Lab) -> None:
    spec = replace(lab.spec("print('ready')"), secrets=("a key",))
    await lab.executor.start(spec)
    await lab.executor.wait(spec.run_dir)

    info = await lab.executor.describe(spec.run_dir)

    runner = runner_pid(spec.run_dir)
    assert info == AttemptInfo(runner, spec.command.argv, spec.environment, ("a key",))


async def test_nothing_is_known_of_an_attempt_that_was_never_started(lab: Lab) -> None:
    assert await lab.executor.describe(lab.spec("pass").run_dir) == AttemptInfo()


async def test_a_program_can_be_queried_outside_of_any_job(lab: Lab) -> None:
    argv = [sys.executable, "-c", "print('an answer')"]

    assert await lab.executor.ask(argv, {}, WAIT_SECONDS) == "an answer\n"


async def test_orphans_of_an_attempt_are_killed_and_those_of_another_are_not(lab: Lab) -> None:
    lost, other = await lab.running(HIDES), await lab.running(HANGS)
    kill_runner(lost)
    assert isinstance(await lab.executor.wait(lost.run_dir), Lost)
    hidden = int((await log_containing(lost, "hidden")).split()[1])

    orphans = await lab.executor.kill_orphans(lost.run_dir, lost.token)

    assert orphans.count >= 1
    assert not is_running(hidden)
    assert files.lock_is_held(other.run_dir)


async def test_the_files_of_an_attempt_are_readable_by_their_owner_only(lab: Lab) -> None:
    spec = lab.spec("print('ready')", files={"config.yaml": "api_key: secret"})

    await lab.executor.start(spec)

    written = [spec.run_dir / name for name in (files.JOB_FILE, "config.yaml")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in written] == [0o600, 0o600]
    assert json.loads(written[0].read_text())["argv"] == list(spec.command.argv)


async def test_files_and_directories_exist_before_the_harness_runs(lab: Lab) -> None:
    output = lab.directory / "some" / "output"
    program = f"import os; print('ready', os.path.isdir({str(output)!r}))"
    spec = lab.spec(program, directories=(output,))

    await lab.executor.start(spec)

    assert await log_containing(spec, "ready") == "ready True\n"


async def test_a_run_directory_that_cannot_be_created_is_named(lab: Lab) -> None:
    (lab.directory / "file").write_text("")
    run_dir = lab.directory / "file" / "attempt-1"

    with pytest.raises(ExecutorError, match=rf"^cannot prepare {run_dir}: Not a directory$"):
        await lab.executor.start(replace(lab.spec("pass"), run_dir=run_dir))


async def test_an_output_directory_that_cannot_be_created_is_named(lab: Lab) -> None:
    (lab.directory / "file").write_text("")
    output = lab.directory / "file" / "output"

    with pytest.raises(ExecutorError, match=rf"^cannot prepare {output}: Not a directory$"):
        await lab.executor.start(lab.spec("pass", directories=(output,)))
