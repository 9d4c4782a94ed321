"""A run directory in which the harness has replaced files."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from evalserver.executors import AttemptInfo, Exit, ExitReason, Lost, ResourcesExhausted
from evalserver.executors.base import ExecutorError
from evalserver.executors.run_files import read_attempt_info, read_exit
from evalserver.runner import files
from tests.executors.conftest import Lab
from tests.runner.runs import HANGS

EXIT = {"reason": "exited", "exit_code": 0, "started_at": "then", "ended_at": "now"}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    path = tmp_path / "job" / "attempt-1"
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"exit_code": "0"}, "invalid exit_code"),
        ({"exit_code": 2**64}, "invalid exit_code"),
        ({"error": ["x"]}, "invalid error"),
        ({"ended_at": None}, "invalid ended_at"),
        ({"reason": "whim"}, "cannot be read"),
        ({"more": 1}, "cannot be read"),
        ({"error": "x" * 2**21}, "cannot be read"),
    ],
    ids=["text", "huge", "list", "none", "reason", "more", "long"],
)
def test_an_invalid_exit_file_is_a_loss(run_dir: Path, wrong: dict[str, Any], why: str) -> None:
    (run_dir / files.EXIT_FILE).write_text(json.dumps({**EXIT, **wrong}))

    end = read_exit(run_dir)

    assert isinstance(end, Lost)
    assert why in end.why


@pytest.mark.parametrize("name", [files.EXIT_FILE, files.RUNNER_FILE, files.JOB_FILE])
def test_a_fifo_does_not_block_a_reader(run_dir: Path, name: str) -> None:
    (run_dir / files.LOCK_FILE).touch()
    os.mkfifo(run_dir / name)

    assert isinstance(read_exit(run_dir), Lost)
    assert read_attempt_info(run_dir) == AttemptInfo()


async def test_a_lock_that_became_a_directory_is_not_held(lab: Lab) -> None:
    spec = lab.spec(HANGS)
    (spec.run_dir / files.LOCK_FILE).mkdir(parents=True)

    assert isinstance(await lab.executor.wait(spec.run_dir), Lost)


async def test_a_dangling_link_cancels_an_attempt_too(lab: Lab) -> None:
    spec = await lab.running(HANGS)
    (spec.run_dir / files.CANCEL_FILE).symlink_to("nowhere/at/all")

    await lab.executor.stop(spec.run_dir)
    end = await lab.executor.wait(spec.run_dir)

    assert isinstance(end, Exit)
    assert (end.reason, end.exit_code) == (ExitReason.CANCELLED, 128 + signal.SIGTERM)


@pytest.mark.parametrize("name", [files.JOB_FILE, files.RUNNER_LOG_FILE])
async def test_a_fifo_with_the_name_of_a_new_file_fails_the_start(lab: Lab, name: str) -> None:
    spec = lab.spec(HANGS)
    spec.run_dir.mkdir()
    os.mkfifo(spec.run_dir / name)

    with pytest.raises(ExecutorError, match=name) as error:
        await lab.executor.start(spec)

    assert not isinstance(error.value, ResourcesExhausted)
