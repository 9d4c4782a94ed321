"""A server whose cluster has a long queue, by stand-ins for Slurm's programs.

The answer of ``squeue`` has the format of the real one. Nothing of it ever starts.
"""

import asyncio
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from evalserver.executors.slurm import SlurmCommands
from evalserver.executors.slurm.answers import JOB_FIELDS
from tests.bench.figures import Figure, Target, compared
from tests.bench.plan import Plan
from tests.bench.sides import Side
from tests.support import ServerProcess, stand_in_environment, until

HANDED_OVER = 100
HEALTH = Target(at_most=25)
PROBE_PAUSE_S = 0.005
POLL_SECONDS = 2.0

JOB = {
    "JobID": "1", "State": "PENDING", "exit_code": "0", "Reason": "Priority", "BatchHost": "n/a",
    "Partition": "main", "SubmitTime": "2026-11-29T03:04:07", "StartTime": "N/A",
    "EndTime": "N/A", "RestartCnt": "0", "Name": "",
}  # fmt: skip
"""A job that waits, as squeue shows it."""

SCRIPTS = {
    "squeue": "printf . >> polls; cat jobs; cat accepted 2> /dev/null; exit 0",
    "scontrol": "echo 'ClusterName = stand-in'",
    "scancel": "exit 0",
    "sinfo": "exit 0",
    # Its last word is the ID; the names of the jobs are in its options.
    "sbatch": (
        '[ "$1" = --version ] && exec echo slurm-wlm 22.05.8\n'
        'for word; do case $word in --job-name=*) name=${word#*=};; esac; done\n'
        "cat > /dev/null\nsed \"s/NAME/$name/\" row >> accepted\necho 1000000"
    ),
}  # fmt: skip


async def long_queue(plan: Plan) -> list[Figure]:
    """Measure what a look at the queue costs by its length, and who waits for it."""
    figures = []
    for pending in (0, plan.pending):
        figures += await _long_queue(plan, pending)
    return figures


async def _long_queue(plan: Plan, pending: int) -> list[Figure]:
    folder = plan.folder / f"queue-{pending}"
    programs = _make_programs(folder, pending)
    config = folder / "evalserver.toml"
    config.write_text(
        f'[executors.cluster]\ntype = "slurm"\npoll_s = {POLL_SECONDS}\n'
        f"max_handed_over = {HANDED_OVER}\n"
    )
    environment = stand_in_environment()
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    options = ("--config", str(config), "--default-executor", "cluster")
    async with ServerProcess(folder / "data", *options, environment=environment) as server:
        for _ in range(HANDED_OVER):
            await server.api.submit()
        handed_over = "SELECT count(*) FROM jobs WHERE handed_over_at IS NOT NULL"

        async def is_there() -> bool:
            return server.query(handed_over) == [str(HANDED_OVER)]

        await until(is_there)
        process, polls = psutil.Process(server.process.pid), programs / "polls"
        cpu, looks = sum(process.cpu_times()[:2]), polls.stat().st_size
        await asyncio.sleep(plan.pending_s)
        cpu = sum(process.cpu_times()[:2]) - cpu
        looks = polls.stat().st_size - looks
        health = Side(server.url).put(1, plan.pending_s, ["/health"], pause_s=PROBE_PAUSE_S)
        p99 = (await health).p99 * 1000
    wall = await _wall_time(environment, plan.rounds)
    name = f"{pending} other jobs in the queue of Slurm"
    return [
        Figure(f"{name}: CPU of the server for a look", "ms", 1000 * cpu / max(1, looks)),
        compared(f"{name}: time of a look", "ms", wall),
        Figure(f"{name}: GET /health, p99 meanwhile", "ms", p99, target=HEALTH),
    ]


async def _wall_time(environment: dict[str, str], rounds: int) -> list[float]:
    """Return how many ms it takes to ask and to read the answer, with nothing else going on."""
    commands, times = SlurmCommands(environment), []
    for _ in range(rounds):
        began = time.perf_counter()
        await commands.jobs()
        times.append(1000 * (time.perf_counter() - began))
    return times


def _make_programs(folder: Path, pending: int) -> Path:
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name, script in SCRIPTS.items():
        path = programs / name
        path.write_text(f"#!/bin/sh\ncd {shlex.quote(str(programs))}\n{script}\n")
        path.chmod(0o755)
    (programs / "polls").touch()
    (programs / "jobs").write_text("".join(_rows(pending)))
    (programs / "row").write_text(_row({**JOB, "JobID": "1000000", "Name": "NAME"}))
    return programs


def _rows(number: int) -> Iterator[str]:
    for job in range(1, number + 1):
        yield _row({**JOB, "JobID": str(job), "Name": f"train-{job} | lr=0.1"})


def _row(job: dict[str, str]) -> str:
    return "".join(f"{job[name]:<{width}}|" for name, width in JOB_FIELDS.items()) + "\n"
