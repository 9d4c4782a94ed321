"""An attempt whose runner ended without an exit record: how that is detected, and the reason."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evalserver.executors import LaunchSpec, Lost
from evalserver.runner import files
from tests.executors.conftest import Lab
from tests.executors.test_local import kill_runner
from tests.runner.runs import HANGS, is_running


async def test_the_machine_was_restarted(lab: Lab) -> None:
    spec = await _killed(lab)
    _rewrite(spec.run_dir / files.RUNNER_FILE, boot_id="another boot")

    assert await lab.executor.wait(spec.run_dir) == Lost("the machine was restarted")


async def test_the_run_directory_is_gone(lab: Lab) -> None:
    spec = lab.spec(HANGS)
    await lab.executor.reserve(spec.run_dir)

    spec.run_dir.rmdir()

    assert await lab.executor.was_started(spec.run_dir)
    assert await lab.executor.wait(spec.run_dir) == Lost("its run directory is gone")


@pytest.mark.parametrize("text", ["", '{"reason": "exi', "[]", '{"reason": "bored"}', "{}"])
async def test_an_unreadable_exit_file_is_a_loss(lab: Lab, text: str) -> None:
    spec = await _killed(lab)
    (spec.run_dir / files.EXIT_FILE).write_text(text)

    end = await lab.executor.wait(spec.run_dir)

    assert isinstance(end, Lost)
    assert end.why.startswith("its exit.json cannot be read")


async def test_a_process_that_reuses_the_pid_of_a_dead_runner_is_left_alone(lab: Lab) -> None:
    spec = await _killed(lab)
    other_process = subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.DEVNULL)
    try:
        _rewrite(spec.run_dir / files.RUNNER_FILE, pid=other_process.pid)

        end = await lab.executor.wait(spec.run_dir)
        await lab.executor.kill_orphans(spec.run_dir, spec.token)

        assert end == Lost("it was killed")
        assert is_running(other_process.pid)
    finally:
        os.kill(other_process.pid, signal.SIGKILL)
        other_process.wait()


async def _killed(lab: Lab) -> LaunchSpec:
    """Return an attempt of which the runner and all other processes were killed."""
    spec = await lab.running(HANGS)
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)
    await lab.executor.kill_orphans(spec.run_dir, spec.token)
    return spec


def _rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
