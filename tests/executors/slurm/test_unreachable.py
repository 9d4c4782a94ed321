"""A Slurm that does not answer: nothing is known then, and nothing may be concluded."""

import asyncio
import os
import time
from pathlib import Path

import psutil
import pytest

from evalserver.executors.slurm import (
    SlurmCommands,
    SlurmRefused,
    SlurmSubmission,
    SlurmUnreachable,
)
from tests.executors.slurm.conftest import Lab
from tests.support import until

IS_OLD = "[ $1 = --version ] && echo slurm 22.05.8 && exit\n"
"""The beginning of a script in the place of sbatch."""

JOB = SlurmSubmission("job-1", Path("/tmp"), Path("/tmp/slurm.log"), ("true",))  # noqa: S108


def commands(folder: Path, timeout_s: float = 60.0, **programs: str) -> SlurmCommands:
    """Commands that find these shell scripts where a site may have put its own."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return SlurmCommands({"PATH": f"{folder}:{os.environ['PATH']}"}, timeout_s)


@pytest.mark.slurm
async def test_without_a_controller_every_command_says_so(lab: Lab) -> None:
    job = await lab.submitted("sleep 600")
    await lab.reached(job, "RUNNING")
    await asyncio.to_thread(lab.cluster.save_state)
    lab.cluster.kill_slurmctld()
    try:
        answers = await asyncio.gather(
            lab.commands.jobs(), lab.commands.nodes(), lab.commands.submit(lab.job("true")),
            lab.commands.cancel(job.name), lab.commands.hold(job.name),
            lab.commands.set_nice(job.name, 5), return_exceptions=True,
        )  # fmt: skip
    finally:
        await asyncio.to_thread(lab.cluster.start_slurmctld)

    assert [type(answer) for answer in answers] == [SlurmUnreachable] * len(answers)
    assert not any(answer.may_have_been_accepted for answer in answers)  # type: ignore[union-attr]
    assert (await lab.reached(job, "RUNNING")).restarts == 0


async def test_a_submission_that_took_too_long_may_have_been_accepted(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # As a script of a site, which has the real one as its child.
    script = f"{IS_OLD}sleep 600 & echo $! $$ > {pids}; wait"
    slow = commands(tmp_path, timeout_s=1.0, sbatch=script)
    start = time.monotonic()

    with pytest.raises(SlurmUnreachable, match="within 1 s") as unreachable:
        await slow.submit(JOB)

    assert unreachable.value.may_have_been_accepted
    assert time.monotonic() - start < 60

    async def are_gone() -> bool:
        return not any(psutil.pid_exists(int(pid)) for pid in pids.read_text().split())

    await until(are_gone)


@pytest.mark.parametrize(
    ("message", "may_have_been_accepted"),
    [
        (
            "Batch job submission failed: Unable to contact slurm controller (connect failure)",
            False,
        ),
        ("Batch job submission failed: Socket timed out on send/recv operation", True),
        ("Batch job submission failed: Zero Bytes were transmitted or received", True),
        ("Batch job submission failed: Protocol authentication error", True),
        ("slurm_load_ctl_conf error: Slurm backup controller in standby mode", True),
    ],
)
async def test_a_submission_that_met_a_fault_is_no_refusal(
    tmp_path: Path, message: str, may_have_been_accepted: bool
) -> None:
    script = f"{IS_OLD}echo 'sbatch: error: {message}' >&2; exit 1"

    with pytest.raises(SlurmUnreachable) as unreachable:
        await commands(tmp_path, sbatch=script).submit(JOB)

    assert str(unreachable.value) == f"sbatch: {message}"
    assert unreachable.value.may_have_been_accepted is may_have_been_accepted


async def test_a_limit_of_jobs_is_a_refusal_for_now(tmp_path: Path) -> None:
    script = (
        f"{IS_OLD}"
        "echo 'sbatch: error: AssocMaxSubmitJobLimit' >&2\n"
        "echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
        " (job submit limit, the user size and/or time limits)' >&2; exit 1"
    )

    with pytest.raises(SlurmRefused, match="AssocMaxSubmitJobLimit; Batch job") as refused:
        await commands(tmp_path, sbatch=script).submit(JOB)

    assert refused.value.is_temporary


@pytest.mark.parametrize("script", ["kill -9 $$", "exit 1", "echo Hello"])
async def test_sbatch_without_an_answer_may_have_been_accepted(tmp_path: Path, script: str) -> None:
    text = IS_OLD + script

    with pytest.raises(SlurmUnreachable) as unreachable:
        await commands(tmp_path, sbatch=text).submit(JOB)

    assert unreachable.value.may_have_been_accepted


@pytest.mark.parametrize(
    ("version", "option"),
    [
        ("slurm-wlm 22.05.8", "--export=ALL"),
        ("slurm 23.02.0", "--export=NIL"),
        ("slurm 25.11.1", "--export=NIL"),
    ],
)
async def test_a_job_gets_no_login_shell_in_any_version(
    tmp_path: Path, version: str, option: str
) -> None:
    script = (
        f"[ $1 = --version ] && echo {version} && exit\n"
        f'printf "%s\\n" "$@" > {tmp_path}/arguments; echo "7;cluster"'
    )

    job_id = await commands(tmp_path, sbatch=script).submit(JOB)

    assert job_id == "7"
    assert option in (tmp_path / "arguments").read_text().splitlines()


async def test_programs_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "squeue"
    broken.write_text("#!/no/such/shell\n")
    broken.chmod(0o755)
    nothing = SlurmCommands({"PATH": str(tmp_path)})

    with pytest.raises(SlurmUnreachable, match=f"cannot run {broken}"):
        await nothing.jobs()
    with pytest.raises(SlurmUnreachable, match="sinfo is not installed") as missing:
        await nothing.nodes()
    assert not missing.value.may_have_been_accepted


async def test_an_answer_in_another_format_concludes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SlurmUnreachable, match="squeue printed what was not asked for"):
        await commands(tmp_path, squeue="echo JobID Name State").jobs()
