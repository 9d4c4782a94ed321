"""One look at Slurm's queue for everybody, while somebody watches."""

import asyncio
import os
from pathlib import Path

import pytest

from evalserver.executors.slurm import SlurmCommands
from evalserver.executors.slurm.answers import JOB_FIELDS
from evalserver.executors.slurm.poller import SlurmPoller
from tests.support import until

LINE = "|".join(["7", "RUNNING", *[""] * (len(JOB_FIELDS) - 3), "evalserver-1"]) + "|"


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    """What squeue prints: without this file, Slurm cannot be reached. ``calls`` counts."""
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\necho >> {tmp_path}/calls\nexec cat {tmp_path}/queue\n")
    squeue.chmod(0o755)
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho >> {tmp_path}/questions\necho ClusterName = lab\n")
    scontrol.chmod(0o755)
    (tmp_path / "queue").write_text(f"{LINE}\n")
    return tmp_path / "queue"


def make_poller(queue: Path) -> SlurmPoller:
    """A poller that looks very often."""
    path = f"{queue.parent}:{os.environ['PATH']}"
    return SlurmPoller(SlurmCommands({"PATH": path}), poll_s=0.05)


def calls(queue: Path) -> int:
    """How often squeue was run."""
    found = queue.with_name("calls")
    return len(found.read_text()) if found.exists() else 0


async def test_all_who_watch_share_a_look_and_nobody_means_none(queue: Path) -> None:
    poller = make_poller(queue)
    async with poller.watching(), poller.watching():
        snapshots = await asyncio.gather(*(poller.fresh() for _ in range(50)))
    made = calls(queue)
    await asyncio.sleep(0.5)

    assert made < len(snapshots)
    assert calls(queue) == made
    assert [job.job_id for job in snapshots[0].named("evalserver-1")] == ["7"]
    assert snapshots[0].named("another") == ()


async def test_the_name_of_the_cluster_is_asked_for_once_however_many_look(queue: Path) -> None:
    poller = make_poller(queue)
    async with poller.watching():
        snapshots = [await poller.fresh() for _ in range(5)]
        snapshots += await asyncio.gather(*(poller.fresh() for _ in range(50)))

    assert {each.cluster for each in snapshots} == {"lab"}
    assert len(queue.with_name("questions").read_text()) == 1


async def test_without_an_answer_the_last_snapshot_remains_and_the_fault_is_named(
    queue: Path,
) -> None:
    poller = make_poller(queue)
    away = queue.with_name("away")
    async with poller.watching():
        before = await poller.fresh()
        queue.rename(away)

        async def is_named() -> str | None:
            return poller.fault

        fault = await until(is_named)
        seen = poller.snapshot
        away.rename(queue)
        after = await poller.fresh()

    assert "Slurm has given no answer since" in fault
    assert "squeue" in fault
    assert seen is not None
    assert seen.jobs == before.jobs
    assert after.number > before.number
    assert poller.fault is None
