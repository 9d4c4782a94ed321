"""A runner that cannot write into its run directory: moved away, full, frozen or stopped itself.

All of them are real: a file system of a few hundred kilobytes that is full, and one that is frozen
(``fsfreeze``), where every write hangs as on a network file system whose server is gone.
"""

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from evalserver.runner import crash_point, files
from tests.runner.runs import HANGS, HIDES, Run, exit_code, is_stopped
from tests.runner.test_full_disk import FILLS_THE_DISK
from tests.small_disk import fill, mount_small_disk
from tests.support import WAIT_SECONDS, until

SILENCE = 2.0
IMAGE_BYTES = 8 * 1024 * 1024
HANGS_ELSEWHERE = f"import os; os.chdir('/'); {HANGS}"


async def started(
    run: Run, program: str, max_silence_s: float = SILENCE
) -> "subprocess.Popen[bytes]":
    """Start a program whose runner has a heartbeat, and wait until both are there."""
    run.prepare(program, max_silence_s=max_silence_s)
    process = run.start_in_foreground()
    await run.says("ready")
    await until(lambda: has_beaten(run))
    return process


async def has_beaten(run: Run) -> bool:
    """Return whether there is a heartbeat."""
    return (run.dir / files.HEARTBEAT_FILE).exists()


def heartbeat(run: Run) -> float:
    """Return the time in the heartbeat."""
    return float(json.loads((run.dir / files.HEARTBEAT_FILE).read_text())["at"])


async def later_heartbeat(run: Run, than: float) -> None:
    """Wait for a heartbeat after this one."""

    async def is_later() -> bool:
        return heartbeat(run) > than

    await until(is_later)


def fsfreeze(option: str, place: Path) -> None:
    """Freeze or thaw a file system."""
    subprocess.run([system_program("fsfreeze"), option, place], check=True)


def system_program(name: str) -> str:
    """Return the path of a program for administrators; skips the test where it is missing."""
    path = shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"there is no {name} on this machine, so hanging writes were NOT TESTED")
    return path


@pytest.fixture
async def freezable(mounted: Path) -> AsyncIterator[Run]:
    """A run directory on a file system that can be frozen."""
    run = Run(mounted / "run")
    run.dir.mkdir()
    yield run
    await run.clean_up()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system that can be frozen."""
    image, place = tmp_path / "image", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    made = subprocess.run([system_program("mkfs.ext4"), "-q", image], check=False).returncode == 0
    if not made or subprocess.run(["mount", "-o", "loop", image, place]).returncode != 0:
        pytest.skip("this user may not mount a file system, so a hanging one was NOT TESTED")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


async def test_the_heartbeat_goes_on_while_the_harness_runs(run: Run) -> None:
    runner = await started(run, HANGS)

    await later_heartbeat(run, heartbeat(run))
    run.cancel()

    assert await exit_code(runner) == 128 + signal.SIGTERM
    assert (await run.end()).reason == "cancelled"


async def test_without_a_limit_there_is_no_heartbeat(run: Run) -> None:
    run.prepare("pass")

    await exit_code(run.start_in_foreground())

    assert not (run.dir / files.HEARTBEAT_FILE).exists()


async def test_the_record_of_the_end_is_the_last_that_is_written(run: Run) -> None:
    run.prepare("import time; time.sleep(1)", max_silence_s=0.4 * WAIT_SECONDS)

    await exit_code(run.start_in_foreground())

    written = {path.name: path.stat().st_mtime_ns for path in run.dir.iterdir()}
    assert max(written, key=lambda name: written[name]) == files.EXIT_FILE
    assert not [name for name in written if ".draft-" in name]


async def test_a_runner_whose_directory_is_gone_kills_all_processes(run: Run) -> None:
    runner = await started(run, HIDES)
    away = run.dir.rename(run.dir.with_name("away"))

    assert await exit_code(runner) == files.CUT_OFF == 99
    assert run.harness_processes == []
    assert not (away / files.EXIT_FILE).exists()
    away.rename(run.dir)


async def test_a_runner_whose_disk_stays_full_kills_its_harness(
    run: Run, small_disks: list[Path]
) -> None:
    mount_small_disk(run.dir)
    small_disks.append(run.dir)
    runner = await started(run, HANGS)

    fill(run.dir)

    assert await exit_code(runner) == files.CUT_OFF
    assert run.harness_processes == []


async def test_a_runner_that_cannot_record_the_end_gives_up(
    run: Run, small_disks: list[Path]
) -> None:
    mount_small_disk(run.dir)
    small_disks.append(run.dir)
    run.prepare(FILLS_THE_DISK, max_silence_s=SILENCE)

    assert await exit_code(run.start_in_foreground()) == files.CUT_OFF
    assert not run.exit_file.exists()


async def test_a_disk_that_is_full_for_a_while_ends_nothing(
    run: Run, small_disks: list[Path]
) -> None:
    mount_small_disk(run.dir)
    small_disks.append(run.dir)
    runner = await started(run, HANGS, max_silence_s=WAIT_SECONDS)

    filler = fill(run.dir)
    before = heartbeat(run)
    filler.unlink()
    await later_heartbeat(run, before)

    assert runner.poll() is None
    assert run.harness_processes


async def test_a_runner_whose_writes_hang_kills_its_harness(freezable: Run) -> None:
    run = freezable
    runner = await started(run, HANGS_ELSEWHERE)

    fsfreeze("--freeze", run.dir.parent)
    try:

        async def harness_is_gone() -> bool:
            return not run.harness_processes

        await until(harness_is_gone)
    finally:
        fsfreeze("--unfreeze", run.dir.parent)

    assert await exit_code(runner) == files.CUT_OFF
    assert not run.exit_file.exists()


async def test_a_runner_that_was_stopped_for_too_long_kills_its_harness(run: Run) -> None:
    runner = await started(run, HANGS)

    runner.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2 * SILENCE)
    runner.send_signal(signal.SIGCONT)

    assert await exit_code(runner) == files.CUT_OFF
    assert run.harness_processes == []
    assert not run.exit_file.exists()


async def test_a_runner_that_was_stopped_before_its_first_heartbeat_is_cut_off(run: Run) -> None:
    run.prepare("print('ready')", max_silence_s=SILENCE)
    runner = run.start_in_foreground(env={crash_point.STOP_VARIABLE: "runner_locked"})

    await until(lambda: is_stopped(runner.pid))
    await asyncio.sleep(2 * SILENCE)
    runner.send_signal(signal.SIGCONT)

    assert await exit_code(runner) == files.CUT_OFF
    assert not run.exit_file.exists()
