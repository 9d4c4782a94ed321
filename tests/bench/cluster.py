"""A server with a real Slurm of two nodes: many short jobs, and latencies beside this machine's."""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.bench.sides import SHORT_HARNESS
from tests.bench.waits import evaluation_times, when_known
from tests.chaos.checks import find_violations
from tests.chaos.clients import SERVER_OPTIONS, ClientLog, marked_environment
from tests.slurm_cluster import SlurmCluster
from tests.support import ServerProcess, until

NONE = Target(at_most=0)
SHARES = {"p50": 0.5, "p99": 0.99}
SAMPLE_SECONDS = 0.5


async def many_jobs(plan: Plan) -> list[Figure]:
    """Run short jobs through a cluster: none is lost, none runs twice; what that costs."""
    figures = []
    for limit in plan.handed_over:
        figures += await _many_jobs(plan, limit)
    return figures


async def latencies(plan: Plan) -> list[Figure]:
    """Measure from a submission to the start, and from the end to the store that knows it."""
    folder = plan.folder / "latencies"
    folder.mkdir()
    times = {}
    async with _cluster(folder) as (cluster, config):
        options = (*config, "--engine-python", str(SHORT_HARNESS), "--max-completed-jobs", "1000")
        environment = {**marked_environment(folder), **cluster.environment}
        data_dir = folder / "data"
        async with ServerProcess(data_dir, *options, environment=environment) as server:
            for executor in ("local", "cluster"):
                times[executor] = await _latencies(server, folder, executor, plan.evaluations)
    return [
        Figure(f"{what}, {executor}, {name}", "ms", _percentile(values, share))
        for executor, measured in times.items()
        for what, values in measured.items()
        for name, share in SHARES.items()
    ]


@dataclass
class Usage:
    """What a process uses, sampled: CPU seconds of it alone, and its largest private memory."""

    cpu_s: float = 0.0
    memory: int = 0
    samples: list[int] = field(default_factory=list)

    async def watch(self, process: psutil.Process) -> None:
        """Sample until cancelled."""
        while True:
            self.cpu_s = sum(process.cpu_times()[:2])
            self.memory = max(self.memory, int(process.memory_full_info().uss))
            await asyncio.sleep(SAMPLE_SECONDS)


async def _many_jobs(plan: Plan, limit: int) -> list[Figure]:
    folder = plan.folder / f"cluster-{limit}"
    folder.mkdir()
    jobs, usage = plan.cluster_jobs, Usage()
    async with _cluster(folder, f"max_handed_over = {limit}\n") as (cluster, config):
        polls = _count_polls(folder / "bin")
        environment = {**marked_environment(folder), **cluster.environment}
        environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
        options = (*SERVER_OPTIONS, *config, "--default-executor", "cluster")
        keep = ("--max-completed-jobs", str(jobs), "--max-queued-jobs", str(jobs))
        async with ServerProcess(
            folder / "data", *options, *keep, environment=environment
        ) as server:
            process = psutil.Process(server.process.pid)
            watching = asyncio.create_task(usage.watch(process))
            memory, began = process.memory_full_info().uss, time.monotonic()
            log = await _submit(server, folder, jobs)

            async def is_done() -> bool:
                unfinished = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
                await asyncio.sleep(SAMPLE_SECONDS)
                return server.query(unfinished) == ["0"]

            await until(is_done, plan.max_cluster_s)
            seconds = time.monotonic() - began
            watching.cancel()
            violations = find_violations(server, log, folder, jobs)
            completed = "SELECT count(*) FROM jobs WHERE status = 'completed'"
            failed = jobs - int(server.query(completed)[0])
    name = f"{jobs} jobs on Slurm, max_handed_over {limit}"
    looks, cpu_ms = max(1, polls.stat().st_size), 1000 * usage.cpu_s
    grown = (usage.memory - memory) / 2**20
    return [
        Figure(f"{name}: lost, twice or out of order", "", _total(violations), target=NONE),
        Figure(f"{name}: not completed", "", failed, target=NONE),
        Figure(f"{name}: rate", "/min", 60 * jobs / seconds),
        Figure(f"{name}: CPU of the server, of one core", "%", 100 * usage.cpu_s / seconds),
        Figure(f"{name}: CPU of the server by looks at the queue", "ms", cpu_ms / looks),
        Figure(f"{name}: CPU of the server by jobs", "ms", cpu_ms / jobs),
        Figure(f"{name}: more memory of the server, at most", "MB", grown),
    ]


async def _submit(server: ServerProcess, folder: Path, jobs: int) -> ClientLog:
    log = ClientLog()
    for number in range(jobs):
        behaviour = {"slot": str(folder / f"slot-{number}"), "journal": str(folder / "journal")}
        job_id = await server.api.submit(model_args=behaviour, num_gpus=0)
        log.priorities[job_id], log.lanes[job_id] = 0, True
    return log


async def _latencies(
    server: ServerProcess, folder: Path, executor: str, evaluations: int
) -> dict[str, list[float]]:
    """Return the times in ms. The end is the one that the runner recorded."""
    journal, submitted, delays = folder / executor, [], []
    for _ in range(evaluations):
        arguments = {"journal": str(journal), "seconds": 0.1}
        submitted.append(time.time())
        job_id = await server.api.submit(model_args=arguments, executor=executor, num_gpus=0)
        await when_known(server.api, job_id)
        ended_at, known_at = server.query(
            "SELECT completed_at FROM jobs WHERE job_id = ?1 UNION ALL SELECT at FROM job_events"
            " WHERE job_id = ?1 AND event = 'completed'",
            job_id,
        )
        delay = datetime.fromisoformat(known_at) - datetime.fromisoformat(ended_at)
        delays.append(1000 * delay.total_seconds())
    starts = [begun for begun, _ in evaluation_times(journal)]
    waits = [1000 * (start - at) for start, at in zip(starts, submitted, strict=True)]
    return {"submission to start": waits, "end to the store that knows it": delays}


@asynccontextmanager
async def _cluster(folder: Path, more: str = "") -> AsyncIterator[tuple[SlurmCluster, list[str]]]:
    """A cluster, and the options of a server that has it as the executor ``cluster``."""
    config = folder / "evalserver.toml"
    config.write_text(f'[executors.cluster]\ntype = "slurm"\npython = "{sys.executable}"\n{more}')
    cluster = SlurmCluster()
    await asyncio.to_thread(cluster.start)
    try:
        yield cluster, ["--config", str(config)]
    finally:
        await asyncio.to_thread(cluster.stop)


def _count_polls(folder: Path) -> Path:
    """Put a squeue into this directory that adds a byte to a file, and is the real one."""
    folder.mkdir()
    count = folder / "polls"
    count.touch()
    squeue = folder / "squeue"
    squeue.write_text(f'#!/bin/sh\nprintf . >> {count}\nexec {shutil.which("squeue")} "$@"\n')
    squeue.chmod(0o755)
    return count


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _total(violations: dict[str, list[str]]) -> int:
    for name, found in violations.items():
        for each in found[:5]:
            print(f"VIOLATION {name}: {each}", file=sys.stderr)
    return sum(map(len, violations.values()))
