"""What a runner writes down when the kernel kills its harness for lack of memory."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalserver.runner.cgroups import Cgroup, own_memory_cgroups
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
    record = OutOfMemoryRecord(Cgroup(tmp_path))
    counter.write_text("oom 1\noom_kill 5\n")

    found = record.describe((), was_killed=False)

    record.close()
    assert found == "The kernel killed 2 processes of it for lack of memory, as its cgroup counts."


def test_earlier_kills_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("oom_kill 3\n")
    record = OutOfMemoryRecord(Cgroup(tmp_path))

    found = record.describe((), was_killed=False)

    record.close()
    assert found is None


def test_a_runner_without_cgroup_or_kernel_log_knows_nothing() -> None:
    record = OutOfMemoryRecord(None)

    found = record.describe((), was_killed=False)

    record.close()
    assert found is None
