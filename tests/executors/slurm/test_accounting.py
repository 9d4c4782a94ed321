"""Attempts whose jobs have left Slurm's queue: its accounting says how they ended."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evalserver.executors import Lost
from tests.executors.slurm.attempts import AttemptLab
from tests.runner.runs import HANGS
from tests.slurm_cluster import SlurmCluster, SlurmOptions, why_no_accounting
from tests.support import until

pytestmark = pytest.mark.slurm

FORGETS_AFTER_SECONDS = 2


@pytest.fixture
async def accounted(tmp_path: Path) -> AsyncIterator[AttemptLab]:
    """Attempts on a cluster of their own that has accounting, and forgets what has ended."""
    if why := why_no_accounting():
        pytest.skip(f"{why}, so this was NOT TESTED: apt install slurmdbd mariadb-server")
    options = SlurmOptions(nodes=1, accounting=True, min_job_age_s=FORGETS_AFTER_SECONDS)
    with SlurmCluster(options) as cluster:
        yield AttemptLab(cluster, tmp_path)


async def test_a_job_that_somebody_cancelled_while_no_server_looked_is_told_by_accounting(
    accounted: AttemptLab,
) -> None:
    spec = await accounted.running(HANGS)
    job = await accounted.job_in(spec, "RUNNING")
    accounted.cluster.run("scancel", job.job_id)

    async def has_left_the_queue() -> bool:
        return not await accounted.jobs(spec)

    await until(has_left_the_queue)
    end = await accounted.make_executor().wait(spec.run_dir)

    assert isinstance(end, Lost)
    assert (end.code, end.may_retry) == ("cluster_cancelled", False)
    assert f"Slurm job {job.job_id}" in end.why
