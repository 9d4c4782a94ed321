"""The executor for Slurm while parts of the cluster are killed, silent, or late with an answer."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evalserver.executors import Cancelled, Exit, Lost, ResourcesExhausted
from evalserver.executors.slurm import SlurmCommands
from evalserver.executors.slurm.submission_record import (
    SubmissionRecord,
    slurm_name,
    write_record,
)
from evalserver.runner import files
from tests.executors.conftest import log_containing
from tests.executors.slurm.attempts import PATIENCE, AttemptLab
from tests.runner.runs import HANGS, is_running
from tests.slurm_cluster import SlurmCluster, config
from tests.small_disk import make_read_only, mount_small_disk, unmount
from tests.support import remove_tree, until

pytestmark = pytest.mark.slurm

SAYS_PID = "import os, time; os.write(1, b'ready %d\\n' % os.getpid()); time.sleep({seconds})"


@pytest.fixture
def slurm() -> Iterator[SlurmCluster]:
    """A cluster for this test alone: a controller that was killed gives the ids of jobs that it has
    forgotten to later ones, and nodes that know such an id refuse it."""
    with SlurmCluster() as cluster:
        yield cluster


def wrapped_sbatch(attempts: AttemptLab, folder: Path, script: str) -> SlurmCommands:
    """Commands with a script in the place of sbatch, which has the real one as REAL."""
    folder.mkdir()
    real = shutil.which("sbatch")
    (folder / "sbatch").write_text(
        f'#!/bin/sh\nREAL={real}\n[ "$1" = --version ] && exec $REAL --version\n{script}\n'
    )
    (folder / "sbatch").chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    return SlurmCommands({"PATH": path, **attempts.cluster.environment}, timeout_s=2.0)


@pytest.mark.parametrize("seconds", [0.5, 2, 12])
async def test_a_controller_that_is_killed_after_a_start_runs_nothing_twice(
    attempts: AttemptLab, seconds: float
) -> None:
    spec = await attempts.handed_over(SAYS_PID.format(seconds=seconds + 3))
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))
    await asyncio.sleep(seconds)

    attempts.cluster.kill_slurmctld()
    await asyncio.to_thread(attempts.cluster.start_slurmctld)
    end = await waiting

    log = spec.run_dir / files.LOG_FILE
    starts = log.read_text().splitlines() if log.exists() else []
    assert len(starts) <= 1
    if isinstance(end, Lost):
        # The controller had forgotten the job, and had it killed; what it then says of it is no
        # different from a cancel by somebody else.
        assert end.may_retry or end.code == "cluster_cancelled"
        assert not any(is_running(int(line.split()[1])) for line in starts)
    else:
        assert isinstance(end, Exit)
        assert len(starts) == 1


@pytest.mark.parametrize("seconds", [0.5, 2])
async def test_a_nodes_daemon_that_is_killed_after_a_start_and_comes_back_disturbs_nothing(
    attempts: AttemptLab, seconds: float
) -> None:
    spec = await attempts.running(SAYS_PID.format(seconds=seconds + 3))
    node = (await attempts.job_in(spec, "RUNNING")).node
    assert node is not None
    await asyncio.sleep(seconds)

    attempts.cluster.kill_slurmd(node)
    await asyncio.to_thread(attempts.cluster.start_slurmd, node)
    end = await attempts.executor.wait(spec.run_dir)

    assert isinstance(end, Exit)
    assert end.exit_code == 0
    assert (spec.run_dir / files.LOG_FILE).read_text().count("ready") == 1


async def test_a_slurm_that_cannot_be_reached_changes_nothing(attempts: AttemptLab) -> None:
    running = await attempts.running(HANGS)
    ends = await attempts.running(SAYS_PID.format(seconds=5))
    await asyncio.to_thread(attempts.cluster.save_state)
    waiting = [
        asyncio.create_task(attempts.executor.wait(spec.run_dir)) for spec in (running, ends)
    ]

    attempts.cluster.kill_slurmctld()
    try:
        late = attempts.spec("print('late')")
        await attempts.executor.reserve(late.run_dir)
        with pytest.raises(ResourcesExhausted, match="Slurm cannot be reached"):
            await attempts.executor.start(late)
        fault = attempts.executor.fault
        # What is in the run directory counts without Slurm, too.
        end = await waiting[1]
        assert not waiting[0].done()
    finally:
        await asyncio.to_thread(attempts.cluster.start_slurmctld)
    await attempts.executor.start(late)

    assert fault is not None
    assert "Slurm has given no answer since" in fault
    assert isinstance(end, Exit)
    assert end.exit_code == 0
    late_end = await attempts.executor.wait(late.run_dir)
    assert isinstance(late_end, Exit)
    assert len(await attempts.jobs(late)) == 1
    assert attempts.executor.fault is None
    await attempts.executor.stop(running.run_dir)
    assert not isinstance(await waiting[0], Lost)


async def test_a_stop_that_slurm_did_not_hear_is_repeated(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(sbatch_args=("--begin=now+1hour",))
    spec = await attempts.handed_over("pass")
    await asyncio.to_thread(attempts.cluster.save_state)

    attempts.cluster.kill_slurmctld()
    try:
        await attempts.executor.stop(spec.run_dir)
    finally:
        await asyncio.to_thread(attempts.cluster.start_slurmctld)

    assert await attempts.executor.wait(spec.run_dir) == Cancelled()
    await attempts.job_in(spec, "CANCELLED")


async def test_a_stop_while_slurm_is_known_to_be_silent_is_given_to_it_when_it_answers(
    attempts: AttemptLab, tmp_path: Path
) -> None:
    silent, cancelled = tmp_path / "silent", tmp_path / "cancelled"
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {"squeue": f"[ -e {silent} ] && exit 1", "scancel": f"touch {cancelled}"}
    for name, script in scripts.items():
        (folder / name).write_text(f'#!/bin/sh\n{script}\nexec {shutil.which(name)} "$@"\n')
        (folder / name).chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    commands = SlurmCommands({"PATH": path, **attempts.cluster.environment})
    attempts.executor = attempts.make_executor(commands, sbatch_args=("--begin=now+1hour",))
    spec = await attempts.handed_over("pass")
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))
    silent.touch()

    async def is_known() -> bool:
        return attempts.executor.fault is not None

    await until(is_known)
    await attempts.executor.stop(spec.run_dir)

    assert not cancelled.exists()
    silent.unlink()
    assert await waiting == Cancelled()


async def test_a_submission_that_was_accepted_without_an_answer_is_found(
    attempts: AttemptLab, tmp_path: Path
) -> None:
    late = attempts.make_executor(wrapped_sbatch(attempts, tmp_path / "bin", "$REAL $@; sleep 600"))
    spec = attempts.spec(HANGS)
    await late.reserve(spec.run_dir)
    with pytest.raises(ResourcesExhausted, match="sbatch gave no answer within 2 s"):
        await late.start(spec)

    restarted = attempts.make_executor()
    assert await restarted.was_started(spec.run_dir)
    await restarted.start(spec)
    await attempts.executor.start(spec)

    assert await restarted.wait_started(spec.run_dir) is not None
    assert len(await attempts.jobs(spec)) == 1


async def test_a_submission_that_reached_nobody_is_made_again(
    attempts: AttemptLab, tmp_path: Path
) -> None:
    lost = attempts.make_executor(wrapped_sbatch(attempts, tmp_path / "bin", "sleep 600"))
    spec = attempts.spec("print('ready')")
    await lost.reserve(spec.run_dir)
    with pytest.raises(ResourcesExhausted):
        await lost.start(spec)

    assert not await attempts.executor.was_started(spec.run_dir)
    await attempts.executor.start(spec)

    assert isinstance(await attempts.executor.wait(spec.run_dir), Exit)
    assert len(await attempts.jobs(spec)) == 1


async def test_a_submission_that_is_accepted_after_another_runs_nothing_twice(
    attempts: AttemptLab, tmp_path: Path
) -> None:
    script = "cat > $0.in; printf '%s\\n' \"$@\" > $0.arguments; sleep 600"
    lost = attempts.make_executor(wrapped_sbatch(attempts, tmp_path / "bin", script))
    spec = attempts.spec(SAYS_PID.format(seconds=600))
    await lost.reserve(spec.run_dir)
    with pytest.raises(ResourcesExhausted):
        await lost.start(spec)
    await attempts.executor.start(spec)
    await log_containing(spec, "ready")
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))

    arguments = (tmp_path / "bin" / "sbatch.arguments").read_text().splitlines()
    text = (tmp_path / "bin" / "sbatch.in").read_text()
    second = attempts.cluster.run("sbatch", *arguments, stdin=text).strip()

    async def has_ended() -> bool:
        return any(job.job_id == second and job.state.is_final for job in await attempts.jobs(spec))

    await until(has_ended)
    await asyncio.sleep(2)
    assert not waiting.done()
    assert (spec.run_dir / files.LOG_FILE).read_text().count("ready") == 1
    await attempts.executor.stop(spec.run_dir)
    assert not isinstance(await waiting, Lost)


async def test_what_was_recorded_before_a_crash_and_not_submitted_is_not_there(
    attempts: AttemptLab,
) -> None:
    spec = attempts.spec("pass")
    await attempts.executor.reserve(spec.run_dir)
    now = datetime.now(UTC).isoformat()
    write_record(spec.run_dir, SubmissionRecord(slurm_name(spec.run_dir), "evalserver", now))

    assert not await attempts.executor.was_started(spec.run_dir)


async def test_a_job_on_another_cluster_is_not_concluded_from_this_one(
    attempts: AttemptLab,
) -> None:
    spec = attempts.spec("pass")
    await attempts.executor.reserve(spec.run_dir)
    now = datetime.now(UTC).isoformat()
    record = SubmissionRecord(slurm_name(spec.run_dir), "another", now, "7")
    write_record(spec.run_dir, record)

    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))
    await asyncio.sleep(3)

    assert not waiting.done()
    waiting.cancel()


async def test_a_node_that_is_cut_off_is_lost_only_when_its_runner_is_silent(
    attempts: AttemptLab,
) -> None:
    spec = await attempts.running(SAYS_PID.format(seconds=600))
    harness = int((await log_containing(spec, "ready")).split()[1])
    node = (await attempts.job_in(spec, "RUNNING")).node
    assert node is not None
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))

    attempts.cluster.kill_slurmd(node)
    try:
        await attempts.job_in(spec, "NODE_FAIL")
        await asyncio.sleep(1)
        is_lost_while_it_runs = waiting.done() and is_running(harness)
        attempts.cluster.kill_node(node)
        end = await waiting
    finally:
        await asyncio.to_thread(attempts.cluster.start_slurmd, node)

    assert not is_lost_while_it_runs
    assert isinstance(end, Lost)
    assert (end.code, end.may_retry) == ("node_failed", True)
    assert not is_running(harness)


async def test_what_uses_too_much_memory_is_out_of_memory(attempts: AttemptLab) -> None:
    if not (config.has_cgroup_v1("freezer") and config.has_cgroup_v1("memory")):
        pytest.skip("Slurm cannot limit memory on this machine: no cgroups of version 1")
    attempts.executor = attempts.make_executor(mem="60M")
    spec = await attempts.handed_over("x = bytearray(500_000_000); print(len(x))")

    end = await attempts.executor.wait(spec.run_dir)

    assert not isinstance(end, Cancelled)
    if isinstance(end, Lost):
        assert (end.code, end.may_retry) == ("host_out_of_memory", False)
    else:
        assert end.out_of_memory is not None


async def test_slurms_own_time_limit_is_told_from_other_ends(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(time_minutes=10)
    spec = await attempts.running(HANGS)
    job = await attempts.job_in(spec, "RUNNING")

    # A limit has whole minutes. Its end can be brought nearer.
    attempts.cluster.run("scontrol", "update", f"jobid={job.job_id}", "endtime=now+1")
    end = await attempts.executor.wait(spec.run_dir)

    assert isinstance(end, Lost)
    assert (end.code, end.may_retry) == ("cluster_time_limit", False)
    assert end.started_at is not None


async def test_in_a_shared_directory_that_is_not_mounted_nothing_is_started_or_created(
    attempts: AttemptLab,
) -> None:
    running = await attempts.running(HANGS)
    waiting = asyncio.create_task(attempts.executor.wait(running.run_dir))
    away = attempts.run_root.with_name(f"{attempts.run_root.name}-away")
    attempts.run_root.rename(away)
    attempts.run_root.mkdir()

    try:
        late = attempts.spec("pass")
        await attempts.executor.reserve(late.run_dir)
        with pytest.raises(ResourcesExhausted, match="is the shared directory mounted"):
            await attempts.executor.start(late)
        with pytest.raises(FileNotFoundError):
            await attempts.executor.stop(late.run_dir)
        await asyncio.sleep(2)
        created = list(attempts.run_root.iterdir())
        was_lost = waiting.done()
    finally:
        remove_tree(attempts.run_root)
        away.rename(attempts.run_root)
    await attempts.executor.start(late)

    assert (created, was_lost) == ([], False)
    assert isinstance(await attempts.executor.wait(late.run_dir), Exit)
    await attempts.executor.stop(running.run_dir)
    assert not isinstance(await waiting, Lost)


async def test_a_shared_directory_that_is_read_only_delays_a_start(attempts: AttemptLab) -> None:
    place = attempts.run_root / "share"
    place.mkdir()
    mount_small_disk(place)
    try:
        (place / "runs").mkdir()
        run_dir = place / "runs" / "job-1" / "attempt-1"
        spec = replace(attempts.spec("pass"), run_dir=run_dir)
        attempts.specs[-1] = spec
        make_read_only(place)
        await attempts.executor.reserve(run_dir)

        with pytest.raises(ResourcesExhausted, match="Read-only file system"):
            await attempts.executor.start(spec)
    finally:
        unmount(place)


async def test_a_job_that_slurm_does_not_know_is_lost_without_the_patience_with_a_runner(
    attempts: AttemptLab, tmp_path: Path
) -> None:
    liar = attempts.make_executor(wrapped_sbatch(attempts, tmp_path / "bin", "echo 7777777"))
    spec = attempts.spec("pass")
    await liar.reserve(spec.run_dir)
    await liar.start(spec)

    started_at = await liar.wait_started(spec.run_dir)
    async with asyncio.timeout(PATIENCE.max_silence_s / 2):
        end = await liar.wait(spec.run_dir)

    assert (started_at, end) == (None, Lost("Slurm does not know its job any more"))
