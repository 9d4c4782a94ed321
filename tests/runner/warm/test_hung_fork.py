"""A harness that hangs since it was forked, or cannot be forked, is started cold."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from evalserver.runner import attempt, files, stage_start
from evalserver.runner.attempt import run_attempt
from evalserver.runner.cgroups import Cgroup
from evalserver.runner.files import Exit
from evalserver.runner.launch_spec import LaunchSpec, read_launch_spec
from evalserver.runner.processes import become_subreaper
from evalserver.runner.stage_start import NotForked
from evalserver.runner.watch import WAKE_SIGNALS
from tests.runner.warm.harness import TinyHarness

HANG_SECONDS = 0.5
PRINTS = "print('started cold')"


class HangsAfterFork:
    """A fork that does nothing, after what it is told to."""

    def __init__(self, before: str = "") -> None:
        self._before = before

    def start(
        self, spec: LaunchSpec, argv: tuple[str, ...], output: int, cgroups: list[Cgroup]
    ) -> int:
        """Fork, and sleep in the child."""
        pid = os.fork()
        if pid == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            if self._before:
                os.write(output, self._before.encode())
                time.sleep(4 * HANG_SECONDS)
                os._exit(6)
            time.sleep(10_000)
        return pid


class CannotFork:
    """A fork that fails."""

    def start(
        self, spec: LaunchSpec, argv: tuple[str, ...], output: int, cgroups: list[Cgroup]
    ) -> int:
        """Fail."""
        raise NotForked("the fork failed: no memory")


def _run(run_dir: Path, warm: stage_start.WarmStart) -> Exit:
    """Run an attempt in a process of its own, as a runner is one."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, WAKE_SIGNALS)
            become_subreaper()
            started_at = attempt.now()
            spec = read_launch_spec(run_dir)
            attempt.write_exit(run_dir, run_attempt(spec, None, started_at, warm, HANG_SECONDS))
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    return Exit(**json.loads((run_dir / files.EXIT_FILE).read_text()))


def _why_cold(run_dir: Path) -> object:
    start = json.loads((run_dir / files.START_FILE).read_text())
    assert start["start"] == "cold"
    return start["why"]


@pytest.fixture
def run_dir(tiny: TinyHarness) -> Path:
    """The run directory of a script that prints how it was started."""
    return tiny.prepare(PRINTS)


def test_a_fork_that_hangs_is_replaced_by_a_cold_start(run_dir: Path) -> None:
    end = _run(run_dir, HangsAfterFork())

    assert (end.reason, end.exit_code) == ("exited", 0)
    assert (run_dir / files.LOG_FILE).read_text() == "started cold\n"


def test_the_reason_for_the_cold_start_is_written(run_dir: Path) -> None:
    _run(run_dir, HangsAfterFork())

    assert _why_cold(run_dir) == "the fork hung"


def test_a_fork_that_has_printed_does_not_hang(run_dir: Path) -> None:
    end = _run(run_dir, HangsAfterFork(before="ready\n"))

    assert end.exit_code == 6


def test_a_harness_that_cannot_be_forked_is_started_cold(run_dir: Path) -> None:
    end = _run(run_dir, CannotFork())

    assert end.exit_code == 0
    assert _why_cold(run_dir) == "the fork failed: no memory"
