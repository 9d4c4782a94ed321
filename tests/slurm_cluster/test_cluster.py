"""The Slurm of tests: it comes up, runs jobs, survives its daemons, and leaves nothing behind."""

from pathlib import Path

import psutil
import pytest

from tests.slurm_cluster import SlurmCluster
from tests.slurm_cluster.config import CGROUPS
from tests.slurm_cluster.remnants import find_processes
from tests.support import until

pytestmark = pytest.mark.slurm

HIDES = "setsid sh -c 'trap \"\" TERM; sleep 600' & sleep 600"
"""A job with a process in a session of its own that ignores TERM."""


def submit(cluster: SlurmCluster, output: Path, *options: str, script: str) -> str:
    """Submit a job; returns its ID."""
    text = f"#!/bin/bash\n{script}\n"
    return cluster.run("sbatch", "--parsable", f"-o{output}", *options, stdin=text).strip()


async def reached(cluster: SlurmCluster, job: str, state: str) -> None:
    """Wait until Slurm says that the job is in this state."""

    async def is_so() -> bool:
        return cluster.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip() == state

    await until(is_so)


async def test_a_job_sees_the_gpu_that_it_asked_for(slurm: SlurmCluster, tmp_path: Path) -> None:
    script = 'echo "$SLURMD_NODENAME gpu $CUDA_VISIBLE_DEVICES"'
    job = submit(slurm, tmp_path / "log", "--gres=gpu:1", script=script)

    await reached(slurm, job, "COMPLETED")

    node, word, gpu = (tmp_path / "log").read_text().split()
    assert node in slurm.nodes
    assert (word, gpu) in {("gpu", "0"), ("gpu", "1")}


async def test_a_job_runs_on_while_the_controller_is_killed_and_started(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = submit(
        slurm, tmp_path / "log", script=f"until [ -e {go} ]; do sleep 0.1; done; echo done"
    )
    await reached(slurm, job, "RUNNING")
    slurm.save_state()
    before = slurm.pids["slurmctld"]

    slurm.kill_slurmctld()
    assert "slurmctld" not in slurm.pids
    slurm.start_slurmctld()
    go.touch()
    await reached(slurm, job, "COMPLETED")

    assert slurm.pids["slurmctld"] != before
    assert (tmp_path / "log").read_text() == "done\n"


async def test_a_job_runs_on_while_the_daemon_of_its_node_is_killed_and_started(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    node, go = slurm.nodes[1], tmp_path / "go"
    script = f"until [ -e {go} ]; do sleep 0.1; done; echo done"
    job = submit(slurm, tmp_path / "log", f"--nodelist={node}", script=script)
    await reached(slurm, job, "RUNNING")

    slurm.kill_slurmd(node)
    slurm.start_slurmd(node)
    go.touch()
    await reached(slurm, job, "COMPLETED")

    assert (tmp_path / "log").read_text() == "done\n"


async def test_a_second_cluster_runs_beside_the_first_and_leaves_nothing(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    with SlurmCluster() as second:
        nodes, directory, pids = second.nodes, second.layout.directory, second.pids.values()
        job = submit(second, tmp_path / "log", script=HIDES)
        await reached(second, job, "RUNNING")

        async def hides() -> bool:
            return any(each.name() == "sleep" for each in find_processes(nodes))

        await until(hides)
        assert job not in slurm.run("squeue", "-h", "-o", "%A", "--states=RUNNING").split()

    assert find_processes(nodes) == []
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not directory.exists()
    assert [*CGROUPS.glob(f"*/slurm_{nodes[0]}")] == []
    assert slurm.answers()
