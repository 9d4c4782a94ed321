"""An attempt whose runner left no word: how that is told from one that ended, and why it was."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evalserver.executors import Attempt, Lost
from evalserver.runner import files
from tests.executors.conftest import Lab
from tests.executors.test_local import kill_runner
from tests.runner.runs import HANGS, is_running


async def test_the_machine_was_restarted(lab: Lab) -> None:
    attempt = await _killed(lab)
    _rewrite(attempt.run_dir / files.RUNNER_FILE, boot_id="another boot")

    assert await lab.executor.wait(attempt.run_dir) == Lost("the machine was restarted")


async def test_the_run_directory_is_gone(lab: Lab) -> None:
    attempt = lab.attempt(HANGS)
    await lab.executor.reserve(attempt.run_dir)

    attempt.run_dir.rmdir()

    assert lab.executor.was_started(attempt.run_dir)
    assert await lab.executor.wait(attempt.run_dir) == Lost("its run directory is gone")


@pytest.mark.parametrize("text", ["", '{"reason": "exi', "[]", '{"reason": "bored"}', "{}"])
async def test_an_exit_file_that_cannot_be_read_is_no_outcome(lab: Lab, text: str) -> None:
    attempt = await _killed(lab)
    (attempt.run_dir / files.EXIT_FILE).write_text(text)

    end = await lab.executor.wait(attempt.run_dir)

    assert isinstance(end, Lost)
    assert end.why.startswith("what it wrote down of its end cannot be read")


async def test_a_process_that_got_the_pid_of_a_dead_runner_is_left_alone(lab: Lab) -> None:
    attempt = await _killed(lab)
    stranger = subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.DEVNULL)
    try:
        _rewrite(attempt.run_dir / files.RUNNER_FILE, pid=stranger.pid)

        end = await lab.executor.wait(attempt.run_dir)
        await lab.executor.end_strays(attempt.run_dir, attempt.token)

        assert end == Lost("it was killed")
        assert is_running(stranger.pid)
    finally:
        os.kill(stranger.pid, signal.SIGKILL)
        stranger.wait()


async def _killed(lab: Lab) -> Attempt:
    """An attempt whose runner was killed, and all that it supervised with it."""
    attempt = await lab.started(HANGS)
    kill_runner(attempt)
    await lab.executor.wait(attempt.run_dir)
    await lab.executor.end_strays(attempt.run_dir, attempt.token)
    return attempt


def _rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
