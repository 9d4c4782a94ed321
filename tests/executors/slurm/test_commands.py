"""Slurm's commands on a real Slurm."""

import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalserver.executors.slurm import SlurmCommands, SlurmJob, SlurmRefused, SlurmState
from tests.executors.slurm.conftest import Lab
from tests.runner.runs import is_running
from tests.slurm_cluster import SlurmCluster, SlurmOptions, why_no_accounting
from tests.support import until

pytestmark = pytest.mark.slurm

TWO_GPUS = 2
WHOLE_NODE: dict[str, Any] = {"gres": f"gpu:{TWO_GPUS}", "time_minutes": 5}


@pytest.mark.parametrize(
    ("script", "state", "exit_code"),
    [
        ("exit 0", SlurmState.COMPLETED, 0),
        ("exit 3", SlurmState.FAILED, 3),
        ("exit 137", SlurmState.FAILED, 137),
        ("exit 255", SlurmState.FAILED, 255),
        ("kill -9 $$", SlurmState.FAILED, -9),
    ],
)
async def test_a_job_ends_with_the_exit_code_of_its_program(
    lab: Lab, script: str, state: SlurmState, exit_code: int
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)
    job = await lab.submitted(script)

    end = await lab.ended(job)

    assert (end.state, end.exit_code, end.restarts) == (state, exit_code, 0)
    assert end.node in lab.cluster.nodes
    assert end.submitted_at is not None
    assert end.started_at is not None
    assert end.ended_at is not None
    assert start < end.submitted_at <= end.started_at <= end.ended_at


@pytest.mark.parametrize("directory", ["plain", "a%jb", "a\\nb %x", "a'\"$(touch oops)\n`id`"])
async def test_the_log_is_in_the_run_directory_whatever_its_name(lab: Lab, directory: str) -> None:
    job = await lab.submitted("echo out; echo err >&2; pwd", directory=directory)

    assert (await lab.ended(job)).state is SlurmState.COMPLETED

    assert job.log.read_text() == f"out\nerr\n{job.run_dir}\n"
    assert [*job.run_dir.iterdir()] == [job.log]


async def test_a_log_is_appended_to(lab: Lab) -> None:
    job = lab.job("echo second")
    job.log.write_text("first\n")

    await lab.commands.submit(job)
    await lab.ended(job)

    assert job.log.read_text() == "first\nsecond\n"


async def test_a_job_gets_its_gpu_but_neither_this_environment_nor_a_login_shells(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    lab.commands = SlurmCommands({**os.environ, **lab.cluster.environment})
    job = await lab.submitted("env", gres="gpu:1", mem="100M", cpus_per_gpu=1)

    await lab.ended(job)

    found = dict(line.partition("=")[::2] for line in job.log.read_text().splitlines())
    assert found["CUDA_VISIBLE_DEVICES"] in ("0", "1")
    # MAIL is what a login shell sets.
    assert not {"API_KEY", "MAIL", "TZ"} & set(found)
    # The runner records the job's ID and its node, and passes them to no harness.
    of_slurm = {name for name in found if name.startswith(("SLURM", "SBATCH"))}
    assert of_slurm == {"SLURM_JOB_ID", "SLURMD_NODENAME"}


async def test_the_limits_of_this_process_are_not_those_of_a_job(lab: Lab) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        job = await lab.submitted("ulimit -n")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    await lab.ended(job)

    assert int(job.log.read_text()) != soft - 1


async def test_cancel_ends_what_waits_and_what_runs_with_its_children(lab: Lab) -> None:
    hides = "setsid sh -c 'trap \"\" TERM; echo $$; sleep 600' & sleep 600"
    running = await lab.submitted(hides)
    waiting = await lab.submitted("true", gres="gpu:1", sbatch_args=("--begin=now+1hour",))
    await lab.reached(running, "RUNNING")

    async def child() -> str:
        return running.log.read_text() if running.log.exists() else ""

    pid = int(await until(child))

    await lab.commands.cancel(running.name)
    await lab.commands.cancel(waiting.name)
    ends = [await lab.ended(running), await lab.ended(waiting)]

    assert [end.state for end in ends] == [SlurmState.CANCELLED] * 2
    assert not is_running(pid)


async def test_to_cancel_what_has_ended_or_never_was_is_no_error(lab: Lab) -> None:
    job = await lab.submitted("true")
    await lab.ended(job)

    await lab.commands.cancel(job.name)
    await lab.commands.cancel("never-was")

    assert (await lab.ended(job)).state is SlurmState.COMPLETED


async def test_a_job_that_is_held_starts_after_its_release(lab: Lab) -> None:
    job = await lab.submitted("true", sbatch_args=("--begin=now+1",))
    await lab.commands.hold(job.name)
    held = await lab.reached(job, "PENDING")

    await lab.commands.release(job.name)

    # Root holds as an administrator.
    assert held.reason in ("JobHeldAdmin", "JobHeldUser")
    assert (await lab.ended(job)).state is SlurmState.COMPLETED


async def test_a_job_that_waits_says_why_and_until_when(lab: Lab) -> None:
    running = [await lab.submitted("sleep 600", **WHOLE_NODE) for _ in lab.cluster.nodes]
    for each in running:
        await lab.reached(each, "RUNNING")
    job = await lab.submitted("true", **WHOLE_NODE)

    async def explained() -> SlurmJob | None:
        found = await lab.find(job.name)
        return found if found and found.expected_start and found.reason == "Resources" else None

    found: SlurmJob = await until(explained)

    assert found.state is SlurmState.PENDING
    assert found.expected_start is not None
    assert datetime.now(UTC) < found.expected_start < datetime.now(UTC) + timedelta(minutes=6)


async def test_the_job_of_higher_priority_starts_first(lab: Lab) -> None:
    running = [await lab.submitted("sleep 600", **WHOLE_NODE) for _ in lab.cluster.nodes]
    for each in running:
        await lab.reached(each, "RUNNING")
    early = await lab.submitted("sleep 600", **WHOLE_NODE)
    late = await lab.submitted("sleep 600", **WHOLE_NODE)

    await lab.commands.set_nice(early.name, 500)
    await lab.commands.set_nice(late.name, 5)
    await lab.commands.cancel(running[0].name)
    await lab.reached(late, "RUNNING")

    assert (await lab.reached(early, "PENDING")).exit_code is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"partition": "nowhere"}, "Invalid partition name specified"),
        ({"gres": "gpu:99"}, "Requested node configuration is not available"),
        ({"gres": "fpga:1"}, "Invalid generic resource"),
        ({"constraint": "huge"}, "Invalid feature specification"),
        ({"mem": "much"}, "Invalid --mem specification"),
        ({"sbatch_args": ("--nonsense",)}, "unrecognized option"),
    ],
)
async def test_a_refusal_has_slurms_words(lab: Lab, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SlurmRefused, match=words) as refused:
        await lab.commands.submit(lab.job("true", **options))

    assert not refused.value.is_temporary


async def test_priority_of_a_job_that_never_was_is_refused(lab: Lab) -> None:
    with pytest.raises(SlurmRefused, match="No jobs with user ID"):
        await lab.commands.set_nice("never-was", 5)


async def test_nodes_have_partitions_and_gpus(lab: Lab) -> None:
    job = await lab.submitted("sleep 600", gres="gpu:1")
    node = (await lab.reached(job, "RUNNING")).node

    nodes = {each.name: each for each in await lab.commands.nodes()}

    assert tuple(sorted(nodes)) == lab.cluster.nodes
    assert {each.partitions for each in nodes.values()} == {("main", "short")}
    assert {each.gres for each in nodes.values()} == {f"gpu:{TWO_GPUS}"}
    assert node is not None
    assert (nodes[node].state, nodes[node].gres_used) == ("mixed", "gpu:1")


async def test_a_site_without_accounting_has_no_records(lab: Lab) -> None:
    assert await lab.commands.records("any", datetime.now(UTC)) is None


async def test_accounting_finds_a_job_by_name(tmp_path: Path) -> None:
    if why := why_no_accounting():
        pytest.skip(f"{why}, so this was NOT TESTED: apt install slurmdbd mariadb-server")
    start = datetime.now(UTC)
    with SlurmCluster(SlurmOptions(nodes=1, accounting=True)) as cluster:
        lab = Lab(cluster, tmp_path)
        job = await lab.submitted("exit 3")
        other = await lab.submitted("true")
        end = await lab.ended(job)
        await lab.ended(other)

        async def recorded() -> Any:
            found = await lab.commands.records(job.name, start)
            return found if found and found[0].state.is_final else None

        [record] = await until(recorded)
        unknown = await lab.commands.records("never-was", start)

    assert (record.name, record.state, record.exit_code) == (job.name, SlurmState.FAILED, 3)
    assert (record.node, record.partition) == (end.node, "main")
    assert unknown == ()
