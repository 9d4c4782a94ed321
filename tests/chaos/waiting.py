"""Waiting until all jobs of a chaos test have ended, and what those wait for that do not."""

from pathlib import Path

from tests.chaos.clients import find_processes
from tests.slurm_cluster import SlurmCluster
from tests.support import ServerProcess, until

UNFINISHED = "SELECT job_id FROM jobs WHERE status IN ('queued', 'running') ORDER BY seq"


async def wait_for_end(
    server: ServerProcess, folder: Path, max_s: float, cluster: SlurmCluster | None
) -> list[str]:
    """Wait until nothing is queued or runs. After ``max_s`` seconds, give up and return a line for
    each job that has not ended, each process, and each node; the checks report the violation."""

    async def is_idle() -> bool:
        return not server.query(UNFINISHED) and not find_processes(folder)

    try:
        await until(is_idle, max_s)
    except TimeoutError:
        jobs = [await _describe(server, job_id) for job_id in server.query(UNFINISHED)]
        processes = [f"process {process}" for process in find_processes(folder)]
        nodes = [] if cluster is None else cluster.describe_nodes()
        return [f"not ended {max_s:g} s after the last kill:", *jobs, *processes, *nodes]
    return []


async def _describe(server: ServerProcess, job_id: str) -> str:
    job = await server.api.job(job_id)
    there = job["cluster_job"] or {}
    return (
        f"job {job_id}, attempt {job['attempt']}, is {job['status']}; waiting for: "
        f"{job['waiting_for']}; at Slurm: {there.get('id')}; files: {job['run_dir']}"
    )
