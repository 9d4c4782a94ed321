"""What every executor must do: one suite, which runs against each of them.

``TestOn..`` classes inherit it, and have a fixture ``place`` that runs attempts there.
"""

import asyncio
import os
import signal
import stat
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from evalserver.executors import (
    AttemptInfo,
    Cancelled,
    Executor,
    Exit,
    ExitReason,
    LaunchSpec,
    Lost,
)
from evalserver.executors.run_files import runner_pid
from evalserver.runner import files
from tests.runner.runs import HANGS, HIDES, is_running
from tests.support import remove_tree, until


class Place(Protocol):
    """Attempts on one executor, each of which runs a few lines of Python."""

    @property
    def executor(self) -> Executor:
        """The executor that is tested."""

    def make_executor(self) -> Executor:
        """Another executor for the same place, as after a restart of the server."""

    def spec(self, program: str, **changes: Any) -> LaunchSpec:
        """A new attempt that runs this program. It is not started."""

    async def running(self, program: str, **changes: Any) -> LaunchSpec:
        """Start an attempt of a program that prints when it is ready, and wait until it has."""


def is_cancelled(end: Exit | Lost | Cancelled) -> bool:
    """Whether an attempt ended as one that was cancelled."""
    return isinstance(end, Cancelled) or (
        isinstance(end, Exit) and end.reason is ExitReason.CANCELLED
    )


async def has_ended(pid: int) -> bool:
    """Whether a process is gone."""
    return not is_running(pid)


async def start(place: Place, program: str, **changes: Any) -> LaunchSpec:
    """Start a new attempt."""
    spec = place.spec(program, **changes)
    await place.executor.reserve(spec.run_dir)
    await place.executor.start(spec)
    return spec


class ExecutorContract:
    """The suite. A subclass has the fixture ``place``."""

    @pytest.mark.parametrize(
        ("program", "exit_code"),
        [
            ("print('done')", 0),
            ("raise SystemExit(3)", 3),
            ("raise SystemExit(137)", 137),
            ("raise SystemExit(255)", 255),
            ("import os; os.kill(os.getpid(), 11)", 128 + signal.SIGSEGV),
        ],
    )
    async def test_an_attempt_ends_with_the_exit_code_of_its_program(
        self, place: Place, program: str, exit_code: int
    ) -> None:
        spec = await start(place, program)

        end = await place.executor.wait(spec.run_dir)

        assert isinstance(end, Exit)
        assert (end.reason, end.exit_code, end.error) == (ExitReason.EXITED, exit_code, None)
        assert datetime.fromisoformat(end.started_at) <= datetime.fromisoformat(end.ended_at)

    async def test_the_output_is_there_while_the_attempt_runs(self, place: Place) -> None:
        spec = await place.running(HANGS)

        assert "ready" in (spec.run_dir / files.LOG_FILE).read_text()
        assert not (spec.run_dir / files.EXIT_FILE).exists()

    async def test_what_runs_and_is_stopped_is_cancelled_with_its_hidden_children(
        self, place: Place
    ) -> None:
        spec = await place.running(HIDES)
        hidden = int(_word_after("hidden", spec))

        await place.executor.stop(spec.run_dir)

        assert is_cancelled(await place.executor.wait(spec.run_dir))
        assert not is_running(hidden)

    async def test_what_is_stopped_before_its_start_never_runs(self, place: Place) -> None:
        spec = place.spec("print('ready')")

        await place.executor.stop(spec.run_dir)
        await place.executor.start(spec)

        assert is_cancelled(await place.executor.wait(spec.run_dir))
        assert not (spec.run_dir / files.LOG_FILE).exists()

    async def test_an_attempt_that_takes_too_long_has_timed_out(self, place: Place) -> None:
        spec = await start(place, HANGS, timeout_s=0.5)

        end = await place.executor.wait(spec.run_dir)

        assert isinstance(end, Exit)
        assert end.reason is ExitReason.TIMED_OUT

    async def test_a_killed_runner_is_a_loss(self, place: Place) -> None:
        spec = await place.running(HANGS)
        pid = runner_pid(spec.run_dir)
        assert pid is not None

        os.kill(pid, signal.SIGKILL)

        assert isinstance(await place.executor.wait(spec.run_dir), Lost)

    async def test_an_attempt_is_stopped_although_its_run_directory_was_removed(
        self, place: Place
    ) -> None:
        spec = await place.running(HANGS)
        runner = runner_pid(spec.run_dir)
        assert runner is not None
        waiting = asyncio.create_task(place.executor.wait(spec.run_dir))

        remove_tree(spec.run_dir)
        await place.executor.stop(spec.run_dir)

        end = await waiting
        assert is_cancelled(end) or isinstance(end, Lost)
        await until(lambda: has_ended(runner))

    async def test_another_executor_finds_a_running_attempt_and_does_not_start_it_again(
        self, place: Place
    ) -> None:
        spec = await place.running(HANGS)
        runner = runner_pid(spec.run_dir)
        other = place.make_executor()

        assert await other.was_started(spec.run_dir)
        await other.start(spec)
        assert runner_pid(spec.run_dir) == runner
        await other.stop(spec.run_dir)
        assert is_cancelled(await other.wait(spec.run_dir))

    async def test_another_executor_reads_how_an_attempt_ended_meanwhile(
        self, place: Place
    ) -> None:
        spec = await start(place, "raise SystemExit(3)")
        end = await place.executor.wait(spec.run_dir)
        other = place.make_executor()

        assert await other.was_started(spec.run_dir)
        assert await other.wait(spec.run_dir) == end

    async def test_what_was_only_reserved_was_not_started(self, place: Place) -> None:
        spec = place.spec("pass")
        await place.executor.reserve(spec.run_dir)

        assert not await place.executor.was_started(spec.run_dir)
        assert await place.executor.describe(spec.run_dir) == AttemptInfo()

    async def test_a_cancelled_wait_leaves_the_attempt_alone(self, place: Place) -> None:
        spec = await place.running(HANGS)
        waiting = asyncio.create_task(place.executor.wait(spec.run_dir))
        await asyncio.sleep(0.1)

        waiting.cancel()
        await asyncio.wait([waiting])

        pid = runner_pid(spec.run_dir)
        assert pid is not None
        assert is_running(pid)

    async def test_secrets_are_on_no_command_line_and_readable_for_their_owner_alone(
        self, place: Place
    ) -> None:
        value = "sk-of-a-lab"
        spec = await place.running(
            HANGS, env={"API_KEY": value, "PYTHONUNBUFFERED": "1"}, secrets=(value,)
        )

        assert value not in _command_lines()
        assert stat.S_IMODE((spec.run_dir / files.JOB_FILE).stat().st_mode) == 0o600
        info = await place.executor.describe(spec.run_dir)
        assert (info.secrets, info.argv) == ((value,), spec.command.argv)

    async def test_nothing_is_left_of_what_was_lost(self, place: Place) -> None:
        spec = await place.running(HIDES)
        hidden = int(_word_after("hidden", spec))
        pid = runner_pid(spec.run_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await place.executor.wait(spec.run_dir)

        await place.executor.kill_orphans(spec.run_dir, spec.token)

        await until(lambda: has_ended(hidden))


def _word_after(word: str, spec: LaunchSpec) -> str:
    words = (spec.run_dir / files.LOG_FILE).read_text().split()
    return words[words.index(word) + 1]


def _command_lines() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return "\n".join(found)
