"""One chaos test: clients and kills, then waiting for the end of all jobs, then checks."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.checks import find_violations
from tests.chaos.clients import (
    SERVER_OPTIONS,
    Client,
    ClientLog,
    find_processes,
    marked_environment,
)
from tests.chaos.killer import Killer
from tests.chaos.operator import Operator
from tests.chaos.waiting import wait_for_end
from tests.slurm_cluster import SlurmCluster
from tests.support import ServerProcess

CLIENTS = 4
MAX_COMPLETED_JOBS = 15
MAX_WAIT_SECONDS = 600.0
"""From the last kill to the end of all jobs."""


@dataclass
class Report:
    """What was done and which violations were found."""

    seed: int
    seconds: float
    kills: Counter[str]
    client_log: ClientLog
    found: dict[str, list[str]]
    resumed: Counter[str] = field(default_factory=Counter)
    """How often nodes of the cluster were given back, by the reason why they took no jobs."""
    notes: list[str] = field(default_factory=list)
    """What explains the violations."""

    @property
    def violations(self) -> list[str]:
        """All violations, one line each."""
        return [f"{name}: {each}" for name, each_found in self.found.items() for each in each_found]

    def __str__(self) -> str:
        kills, resumed = _listed(self.kills), _listed(self.resumed)
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s",
            f"kills survived: {self.kills.total()} ({kills})",
            *([f"nodes resumed: {self.resumed.total()} ({resumed})"] if resumed else []),
            f"jobs accepted: {len(self.client_log.priorities)}",
            f"requests answered: {self.client_log.answered}, aborted: {self.client_log.unanswered}",
            *(f"{name}: {len(each_found)}" for name, each_found in self.found.items()),
            *(f"  VIOLATION {each}" for each in self.violations[:20]),
            *(f"  {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


async def run_chaos(
    folder: Path, seed: int, kills: int, gpus: int = 0, cluster: SlurmCluster | None = None
) -> Report:
    """Run clients while the killer kills, wait until all jobs have ended, and check.

    With ``gpus``, the server manages so many (simulated) GPUs, and runs several jobs at once. With
    a cluster, all jobs run there, and its daemons are killed, too. Cancelled, it leaves nothing.
    """
    try:
        async with AsyncExitStack() as stack:
            operator = None if cluster is None else Operator(cluster)
            if operator is not None:
                await stack.enter_async_context(operator.on_duty())
            report = await _run(folder, seed, kills, gpus, cluster)
            report.resumed = Counter() if operator is None else operator.resumed
            return report
    finally:
        for process in find_processes(folder):
            with suppress(psutil.NoSuchProcess):
                process.kill()


async def _run(
    folder: Path, seed: int, kills: int, gpus: int, cluster: SlurmCluster | None
) -> Report:
    rng = random.Random(seed)
    client_log = ClientLog()
    began = time.monotonic()
    async with _server(folder, gpus, cluster) as server:
        killer = Killer(server, folder, random.Random(rng.random()), cluster)
        clients = [
            Client(
                server,
                client_log,
                random.Random(rng.random()),
                folder,
                gpus,
                on_cluster=cluster is not None,
            )
            for _ in range(CLIENTS)
        ]
        await _kill_beside(clients, killer.kill(kills))
        notes = await wait_for_end(server, folder, MAX_WAIT_SECONDS, cluster)
        found = find_violations(server, client_log, folder, MAX_COMPLETED_JOBS)
    found["orphans"] += [str(process) for process in find_processes(folder)]
    return Report(seed, time.monotonic() - began, killer.kills, client_log, found, notes=notes)


def _server(folder: Path, gpus: int, cluster: SlurmCluster | None) -> ServerProcess:
    options = [*SERVER_OPTIONS, "--cancel-grace=0.5", f"--max-completed-jobs={MAX_COMPLETED_JOBS}"]
    if gpus:
        options += ["--gpus", ",".join(map(str, range(gpus)))]
    environment = marked_environment(folder)
    if cluster is not None:
        options += _cluster_options(folder)
        environment |= cluster.environment
    return ServerProcess(folder / "data", *options, environment=environment)


def _cluster_options(folder: Path) -> tuple[str, ...]:
    config = folder / "evalserver.toml"
    config.write_text(
        '[executors.cluster]\ntype = "slurm"\npoll_s = 0.5\nmax_handed_over = 8\n'
        f'max_silence_s = 30\npython = "{sys.executable}"\n'
    )
    return ("--config", str(config), "--default-executor", "cluster")


async def _kill_beside(clients: list[Client], killing: Coroutine[Any, Any, None]) -> None:
    """Let the clients send requests until the killing is done. Raises what a client met."""
    tasks = [asyncio.create_task(client.run()) for client in clients]
    try:
        await killing
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if not isinstance(end, asyncio.CancelledError) and isinstance(end, BaseException):
            raise end
