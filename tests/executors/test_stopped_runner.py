"""A runner, or its parent, that is stopped by SIGSTOP blocks neither a cancel nor a start."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evalserver.executors import (
    Exit,
    ExitReason,
    LaunchSpec,
    LocalExecutor,
    Lost,
    ResourcesExhausted,
)
from evalserver.executors.run_files import runner_pid
from evalserver.runner import files
from evalserver.runner.crash_point import STOP_VARIABLE
from tests.executors.conftest import Lab
from tests.runner.runs import HANGS, STUBBORN, is_running
from tests.support import WAIT_SECONDS

STOPS_REPEATEDLY = f"""
import os, signal, sys, time
last = time.time() + {2 * WAIT_SECONDS}
while time.time() < last:
    try:
        os.kill(int(sys.argv[1]), signal.SIGSTOP)
    except ProcessLookupError:
        break
"""


async def test_a_stopped_runner_carries_out_a_cancel(lab: Lab) -> None:
    spec = await lab.running(HANGS)
    os.kill(_runner(spec), signal.SIGSTOP)

    await lab.executor.stop(spec.run_dir)
    end = await asyncio.wait_for(lab.executor.wait(spec.run_dir), WAIT_SECONDS)

    assert isinstance(end, Exit)
    assert end.reason is ExitReason.CANCELLED


async def test_a_runner_that_is_stopped_repeatedly_is_killed_on_a_cancel(
    lab: Lab,
) -> None:
    spec = await lab.running(HANGS)
    runner = _runner(spec)
    stopper = subprocess.Popen([sys.executable, "-c", STOPS_REPEATEDLY, str(runner)])
    try:
        await lab.executor.stop(spec.run_dir)
        end = await asyncio.wait_for(lab.executor.wait(spec.run_dir), WAIT_SECONDS)
    finally:
        stopper.kill()
        stopper.wait()

    # The runner may have carried out the cancel between SIGCONT and the next SIGSTOP.
    was_killed = isinstance(end, Lost) and "it was stopped" in end.why
    assert was_killed or (isinstance(end, Exit) and end.reason is ExitReason.CANCELLED)
    assert not is_running(runner)


async def test_a_stopped_runner_without_a_cancel_is_left_alone(lab: Lab) -> None:
    spec = await lab.running(HANGS)
    runner = _runner(spec)
    os.kill(runner, signal.SIGSTOP)
    waiting = asyncio.create_task(LocalExecutor(look_s=0.01).wait(spec.run_dir))

    await asyncio.wait([waiting], timeout=1)

    assert _state(runner) == "T"
    os.kill(runner, signal.SIGCONT)
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_slow_runner_is_not_killed(lab: Lab) -> None:
    spec = await lab.running(STUBBORN)

    await lab.executor.stop(spec.run_dir)
    end = await LocalExecutor(look_s=0.001).wait(spec.run_dir)

    assert isinstance(end, Exit)
    assert (end.reason, end.exit_code) == (ExitReason.CANCELLED, 128 + signal.SIGKILL)


@pytest.mark.parametrize("point", ["runner_locked", "runner_forked"])
async def test_a_start_stopped_halfway_is_supervised_and_can_be_cancelled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    spec = lab.spec(HANGS)
    monkeypatch.setenv(STOP_VARIABLE, point)

    await _start_within_a_limit(spec)
    supervised = files.lock_is_held(spec.run_dir)
    await lab.executor.stop(spec.run_dir)
    end = await asyncio.wait_for(lab.executor.wait(spec.run_dir), WAIT_SECONDS)

    assert supervised
    assert isinstance(end, Exit)
    assert end.reason is ExitReason.CANCELLED


async def _start_within_a_limit(spec: LaunchSpec) -> None:
    # On a slow machine nothing may be started within the first limit.
    for limit_s in (1, 10):
        with contextlib.suppress(ResourcesExhausted):
            return await LocalExecutor(max_start_s=limit_s).start(spec)
    await LocalExecutor(max_start_s=WAIT_SECONDS).start(spec)


def _runner(spec: LaunchSpec) -> int:
    pid = runner_pid(spec.run_dir)
    assert pid is not None
    return pid


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
