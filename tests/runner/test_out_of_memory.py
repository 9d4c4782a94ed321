"""What a runner writes down when the kernel kills its harness for lack of memory."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalserver.executors import can_limit_memory
from evalserver.runner.cgroups import (
    VARIABLE,
    Cgroup,
    memory_cgroup,
    own_memory_cgroups,
    possible_cgroups,
)
from evalserver.runner.memory_limit import limit_memory
from evalserver.runner.out_of_memory import OutOfMemoryRecord
from tests.runner.runs import Run, runner_command

LIMIT_BYTES = 64 * 1024 * 1024
EATS_MEMORY = "blocks = []\nwhile True:\n    blocks.append(bytearray(b'x') * (1 << 22))"
WORKER_EATS_MEMORY = f"""
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)\\n" + {EATS_MEMORY!r}])
raise SystemExit(1 if worker.wait() else 0)
"""
LIMITS = ("memory.limit_in_bytes", "memory.max")


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A cgroup with little memory, for the processes of one test."""
    for place in own_memory_cgroups():
        cgroup = place / f"evalserver-test-{os.getpid()}"
        try:
            cgroup.mkdir()
        except OSError:
            continue
        limits = [cgroup / name for name in LIMITS if (cgroup / name).exists()]
        for limit in limits:
            limit.write_text(str(LIMIT_BYTES))
            yield cgroup
        cgroup.rmdir()
        if limits:
            return
    pytest.skip("this user may not limit memory, so the kernel's killing was NOT TESTED")


def start_in(cgroup: Path, run: Run, program: str) -> None:
    """Run a program with a runner in the cgroup."""
    run.prepare(program)
    enter = f'echo $$ > "{cgroup}/cgroup.procs"; exec "$@"'
    subprocess.run(["sh", "-c", enter, "sh", *runner_command(run.dir)], check=True)


async def test_a_kill_for_lack_of_memory_is_written_down(little_memory: Path, run: Run) -> None:
    start_in(little_memory, run, EATS_MEMORY)

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 137)
    assert end.out_of_memory is not None
    assert "lack of memory" in end.out_of_memory


@pytest.fixture
def limited() -> None:
    """Skip where memory cannot be limited."""
    if not can_limit_memory():
        pytest.skip("this user may not limit memory, so --memory-per-job was NOT TESTED")


async def test_an_attempt_beyond_its_limit_is_killed_and_told_so(limited: None, run: Run) -> None:
    run.prepare(EATS_MEMORY, memory_bytes=LIMIT_BYTES)
    assert run.start_runner() == 0

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 137)
    assert end.out_of_memory is not None
    assert end.out_of_memory.endswith(f" It may use {LIMIT_BYTES} bytes (--memory-per-job).")


async def test_all_processes_of_an_attempt_share_its_limit(limited: None, run: Run) -> None:
    run.prepare(WORKER_EATS_MEMORY, memory_bytes=LIMIT_BYTES)
    assert run.start_runner() == 0

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 1)
    assert "--memory-per-job" in (end.out_of_memory or "")


async def test_nothing_is_left_of_a_limit(limited: None, run: Run) -> None:
    run.prepare("print('done')", memory_bytes=LIMIT_BYTES)
    assert run.start_runner() == 0

    end = await run.end()

    places = [memory_cgroup(run.dir), *possible_cgroups(run.dir)]
    assert (end.exit_code, end.out_of_memory) == (0, None)
    assert not any(each is not None and each.path.exists() for each in places)


async def test_an_attempt_runs_where_memory_cannot_be_limited(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "none")
    run.prepare("print('done')", memory_bytes=LIMIT_BYTES)
    assert run.start_runner() == 0

    assert ((await run.end()).exit_code, can_limit_memory()) == (0, False)


def test_the_unified_hierarchy_limits_in_the_attempts_own_cgroup(tmp_path: Path) -> None:
    """With files instead of the kernel's: this machine may have version 1."""
    attempt = tmp_path / "attempt"
    attempt.mkdir()
    for name in ("memory.max", "memory.swap.max"):
        (attempt / name).write_text("max")
    cgroup = Cgroup(attempt)

    assert limit_memory(cgroup, tmp_path, LIMIT_BYTES) is cgroup
    assert (attempt / "memory.max").read_text() == str(LIMIT_BYTES)
    assert (attempt / "memory.swap.max").read_text().startswith("0")


async def test_a_worker_killed_for_lack_of_memory_is_written_down(
    little_memory: Path, run: Run
) -> None:
    if not os.access("/dev/kmsg", os.R_OK):
        pytest.skip("this user may not read the kernel's log, so this was NOT TESTED")

    start_in(little_memory, run, WORKER_EATS_MEMORY)

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 1)
    assert end.out_of_memory is not None
    assert "python" in end.out_of_memory


async def test_a_kill_by_somebody_is_no_lack_of_memory(run: Run) -> None:
    run.prepare("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run.start_runner() == 0

    end = await run.end()

    assert (end.exit_code, end.out_of_memory) == (137, None)


@pytest.mark.parametrize("name", ["memory.events", "memory.oom_control"])
def test_the_counter_of_an_attempts_own_cgroup_counts(tmp_path: Path, name: str) -> None:
    counter = tmp_path / name
    counter.write_text("oom 1\noom_kill 3\n")
    record = OutOfMemoryRecord([Cgroup(tmp_path)])
    counter.write_text("oom 1\noom_kill 5\n")

    found = record.describe((), was_killed=False)

    record.close()
    assert found == "The kernel killed 2 processes of it for lack of memory, as its cgroup counts."


def test_earlier_kills_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("oom_kill 3\n")
    record = OutOfMemoryRecord([Cgroup(tmp_path)])

    found = record.describe((), was_killed=False)

    record.close()
    assert found is None


def test_a_runner_without_cgroup_or_kernel_log_knows_nothing() -> None:
    record = OutOfMemoryRecord()

    found = record.describe((), was_killed=False)

    record.close()
    assert found is None
