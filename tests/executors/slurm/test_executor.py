"""The executor for Slurm: attempts on a real Slurm, from their start to their end."""

import asyncio
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalserver.executors import (
    Cancelled,
    ClusterJob,
    ExecutorError,
    Exit,
    ExitReason,
    KilledOrphans,
    Lost,
)
from evalserver.executors.slurm.submission_record import read_record, slurm_name
from evalserver.runner import files
from evalserver.runner.launch_spec import read_launch_spec
from tests.executors.slurm.attempts import PATIENCE, AttemptLab
from tests.runner.runs import HANGS
from tests.support import until

pytestmark = pytest.mark.slurm

LATER = ("--begin=now+1hour",)


async def test_the_start_is_the_first_sign_of_the_runner(attempts: AttemptLab) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    spec = await attempts.handed_over("print('done')")

    started_at = await attempts.executor.wait_started(spec.run_dir)
    end = await attempts.executor.wait(spec.run_dir)

    assert isinstance(end, Exit)
    assert end.started_at == started_at
    assert before < datetime.fromisoformat(end.started_at) < datetime.now(UTC)


async def test_the_runner_says_where_it_runs_and_that_it_lives(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)
    job = await attempts.job_in(spec, "RUNNING")
    heartbeat = spec.run_dir / files.HEARTBEAT_FILE

    async def lives() -> bool:
        return heartbeat.exists()

    await until(lives)
    said = json.loads((spec.run_dir / files.RUNNER_FILE).read_text())
    assert said["slurm_job_id"] == str(job.job_id)


async def test_what_waits_says_why_and_has_not_started(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(sbatch_args=LATER)
    spec = await attempts.handed_over("print('ready')")
    starting = asyncio.create_task(attempts.executor.wait_started(spec.run_dir))

    async def explained() -> str | None:
        reason = attempts.executor.waiting_reason(spec.run_dir)
        return reason if reason and "BeginTime" in reason else None

    reason = await until(explained)

    assert reason.startswith("Slurm: BeginTime, partition main, about ")
    assert not starting.done()
    starting.cancel()


async def test_the_silence_that_an_attempt_was_submitted_with_is_recorded_for_later_servers(
    attempts: AttemptLab,
) -> None:
    spec = await attempts.handed_over("print('ready')")

    record = read_record(spec.run_dir)
    assert record is not None
    of_runner = read_launch_spec(spec.run_dir).max_silence_s
    assert of_runner is not None
    assert of_runner < record.max_silence_s == PATIENCE.max_silence_s


async def test_what_waits_and_is_stopped_never_starts(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(sbatch_args=LATER)
    spec = await attempts.handed_over("print('ready')")
    starting = asyncio.create_task(attempts.executor.wait_started(spec.run_dir))

    await attempts.executor.stop(spec.run_dir)

    assert await starting is None
    assert await attempts.executor.wait(spec.run_dir) == Cancelled()
    await attempts.job_in(spec, "CANCELLED")
    assert not (spec.run_dir / files.RUNNER_FILE).exists()


async def test_what_is_stopped_before_its_start_is_not_submitted(attempts: AttemptLab) -> None:
    spec = attempts.spec("print('ready')")

    await attempts.executor.stop(spec.run_dir)
    await attempts.executor.start(spec)

    assert await attempts.executor.wait(spec.run_dir) == Cancelled()
    assert await attempts.jobs(spec) == []


async def test_what_somebody_else_cancels_is_lost_and_not_tried_again(
    attempts: AttemptLab,
) -> None:
    spec = await attempts.running(HANGS)

    await attempts.commands.cancel(slurm_name(spec.run_dir))
    end = await attempts.executor.wait(spec.run_dir)

    assert isinstance(end, Lost)
    assert (end.code, end.may_retry) == ("cluster_cancelled", False)
    assert end.started_at is not None


async def test_what_somebody_else_cancels_before_it_starts_is_lost(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(sbatch_args=LATER)
    spec = await attempts.handed_over("print('ready')")

    await attempts.commands.cancel(slurm_name(spec.run_dir))

    assert await attempts.executor.wait_started(spec.run_dir) is None
    end = await attempts.executor.wait(spec.run_dir)
    assert isinstance(end, Lost)
    assert (end.code, end.may_retry, end.started_at) == ("cluster_cancelled", False, None)


async def test_a_refusal_has_slurms_words(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(partition="nowhere")

    with pytest.raises(ExecutorError, match=r"Slurm refused its job: .* invalid partition"):
        await attempts.handed_over("pass")

    assert not await attempts.executor.was_started(attempts.specs[0].run_dir)


async def test_a_python_that_the_node_does_not_have_is_named(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(python="/no/such/python3")
    spec = await attempts.handed_over("pass")

    end = await attempts.executor.wait(spec.run_dir)

    assert isinstance(end, Lost)
    assert (end.code, end.may_retry) == ("cluster_not_started", False)
    assert "/no/such/python3" in (spec.run_dir / "slurm.log").read_text()


async def test_another_executor_finds_the_attempt_again(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)
    other = attempts.make_executor()

    assert await other.was_started(spec.run_dir)
    assert await other.wait_started(spec.run_dir) is not None
    await other.start(spec)
    await other.stop(spec.run_dir)
    end = await other.wait(spec.run_dir)

    assert isinstance(end, Cancelled) or end.reason is ExitReason.CANCELLED  # type: ignore[union-attr]
    assert len(await attempts.jobs(spec)) == 1


async def test_another_executor_reads_how_an_attempt_ended_meanwhile(attempts: AttemptLab) -> None:
    spec = await attempts.handed_over("raise SystemExit(3)")
    end = await attempts.executor.wait(spec.run_dir)

    other = attempts.make_executor()

    assert await other.was_started(spec.run_dir)
    assert await other.wait_started(spec.run_dir) == end.started_at  # type: ignore[union-attr]
    assert await other.wait(spec.run_dir) == end


async def test_secrets_are_on_no_command_line_and_in_no_record_of_slurm(
    attempts: AttemptLab,
) -> None:
    value = "sk-of-a-lab"
    spec = await attempts.running(
        HANGS, env={"API_KEY": value, "PYTHONUNBUFFERED": "1"}, secrets=(value,)
    )
    job = await attempts.job_in(spec, "RUNNING")

    shown = attempts.cluster.run("scontrol", "show", "job", "-dd", job.job_id)
    script = attempts.cluster.run("scontrol", "write", "batch_script", job.job_id, "-")
    spooled = [
        path
        for path in attempts.cluster.layout.directory.rglob("*")
        if path.is_file() and value.encode() in path.read_bytes()
    ]

    assert value not in shown + script + _command_lines()
    assert spooled == []
    assert stat.S_IMODE((spec.run_dir / files.JOB_FILE).stat().st_mode) == 0o600
    info = await attempts.executor.describe(spec.run_dir)
    assert (info.secrets, info.argv) == ((value,), spec.command.argv)


async def test_slurm_is_asked_for_the_gpus_and_the_time_of_the_job(attempts: AttemptLab) -> None:
    gpu = await attempts.running(HANGS, num_gpus=1, timeout_s=60.0)
    none = await attempts.running(HANGS)

    shown = [
        attempts.cluster.run("scontrol", "show", "job", (await attempts.jobs(spec))[0].job_id)
        for spec in (gpu, none)
    ]

    assert "gres:gpu:1" in shown[0]
    assert "TimeLimit=00:03:00" in shown[0]
    assert "gres:gpu" not in shown[1]
    # The partition's own limit, which is a year where it has none.
    assert "TimeLimit=365-00:00:00" in shown[1] or "TimeLimit=UNLIMITED" in shown[1]


async def test_the_submission_is_recorded(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)

    record = await attempts.executor.submission(spec.run_dir)

    [job] = await attempts.jobs(spec)
    assert record is not None
    assert (record.name, record.cluster, record.job_id) == (job.name, "evalserver", job.job_id)
    assert job.submitted_at is not None
    assert abs(record.time - job.submitted_at) < timedelta(minutes=1)
    assert json.loads((spec.run_dir / "slurm.json").read_text())["job_id"] == job.job_id


async def test_what_is_held_starts_after_its_release(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(sbatch_args=("--begin=now+1",))
    spec = await attempts.handed_over("print('ready')")

    await attempts.executor.hold(spec.run_dir)
    held = await attempts.job_in(spec, "PENDING")
    await attempts.executor.release(spec.run_dir)

    assert held.reason in ("JobHeldAdmin", "JobHeldUser")
    assert isinstance(await attempts.executor.wait(spec.run_dir), Exit)


async def test_a_changed_priority_is_that_of_the_job(attempts: AttemptLab) -> None:
    attempts.executor = attempts.make_executor(sbatch_args=LATER)
    spec = await attempts.handed_over("pass")
    job = await attempts.job_in(spec, "PENDING")

    await attempts.executor.prioritize(spec.run_dir, -2)

    assert "Nice=2000" in attempts.cluster.run("scontrol", "show", "job", job.job_id)
    await attempts.executor.prioritize(attempts.spec("never started").run_dir, 5)
    assert attempts.executor.fault is None


async def test_a_second_start_of_the_same_attempt_is_not_its_end(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)
    [first] = await attempts.jobs(spec)
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))

    (spec.run_dir / "slurm.json").unlink()
    shell = "#!/bin/sh\nexit 98\n"
    options = ("--parsable", f"--job-name={first.name}", "--output=/dev/null")
    second = attempts.cluster.run("sbatch", *options, stdin=shell).strip()

    async def has_ended() -> bool:
        return any(job.job_id == second and job.state.is_final for job in await attempts.jobs(spec))

    await until(has_ended)
    await asyncio.sleep(1)
    assert not waiting.done()
    await attempts.executor.stop(spec.run_dir)
    assert not isinstance(await waiting, Lost)


async def test_the_nodes_of_the_cluster_are_shown(attempts: AttemptLab) -> None:
    nodes = await attempts.executor.nodes()

    assert tuple(sorted(node.name for node in nodes)) == attempts.cluster.nodes
    assert {node.resources for node in nodes} == {"gpu:2"}


async def test_a_job_is_found_by_its_run_directory(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))

    async def is_known() -> ClusterJob | None:
        return attempts.executor.find_job(spec.run_dir)

    known = await until(is_known)

    [job] = await attempts.jobs(spec)
    assert known == ClusterJob(job.job_id, f"scontrol show job {job.job_id}", job.node)
    waiting.cancel()


async def test_nothing_is_left_to_kill_of_what_has_ended(attempts: AttemptLab) -> None:
    spec = await attempts.handed_over("print('ready')")
    await attempts.executor.wait(spec.run_dir)
    await attempts.job_in(spec, "COMPLETED")

    assert await attempts.executor.kill_orphans(spec.run_dir, spec.token) == KilledOrphans(0, None)


async def test_a_run_directory_that_is_removed_ends_the_job(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))
    await asyncio.sleep(0.5)

    spec.run_dir.rename(attempts.run_root / "moved")

    assert await waiting == Lost("its run directory is gone")
    await attempts.job_in(spec, "CANCELLED")


async def test_a_shared_directory_that_is_not_mounted_changes_nothing(attempts: AttemptLab) -> None:
    spec = await attempts.running(HANGS)
    waiting = asyncio.create_task(attempts.executor.wait(spec.run_dir))
    await asyncio.sleep(0.5)
    away = attempts.run_root.with_name(f"{attempts.run_root.name}-away")

    attempts.run_root.rename(away)

    async def is_shown() -> bool:
        return "is the shared directory mounted?" in (attempts.executor.fault or "")

    await until(is_shown)
    await asyncio.sleep(1)
    assert not waiting.done()
    away.rename(attempts.run_root)
    await attempts.executor.stop(spec.run_dir)
    assert not isinstance(await waiting, Lost)
    assert attempts.executor.fault is None


async def test_a_run_directory_that_cannot_be_created_is_named(attempts: AttemptLab) -> None:
    run_dir = attempts.run_root / "runs" / "job-1" / "attempt-1"
    run_dir.parent.write_text("")

    with pytest.raises(ExecutorError, match=r"cannot prepare .*/job-1: File exists$"):
        await attempts.executor.start(replace(attempts.spec("pass"), run_dir=run_dir))


def _command_lines() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)
