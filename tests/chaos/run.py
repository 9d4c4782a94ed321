"""One chaos test: clients and kills, then waiting for the end of all jobs, then checks."""

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checks import find_violations
from tests.chaos.clients import (
    SERVER_OPTIONS,
    Client,
    ClientLog,
    find_processes,
    marked_environment,
)
from tests.chaos.killer import Killer
from tests.slurm_cluster import SlurmCluster
from tests.support import ServerProcess, until

CLIENTS = 4
MAX_COMPLETED_JOBS = 15
MAX_WAIT_SECONDS = 600.0


@dataclass
class Report:
    """What was done and which violations were found."""

    seed: int
    seconds: float
    kills: Counter[str]
    client_log: ClientLog
    found: dict[str, list[str]]

    @property
    def violations(self) -> list[str]:
        """All violations, one line each."""
        return [f"{name}: {each}" for name, each_found in self.found.items() for each in each_found]

    def __str__(self) -> str:
        kills = ", ".join(f"{victim} {n}" for victim, n in sorted(self.kills.items()))
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s",
            f"kills survived: {self.kills.total()} ({kills})",
            f"jobs accepted: {len(self.client_log.priorities)}",
            f"requests answered: {self.client_log.answered}, aborted: {self.client_log.unanswered}",
            *(f"{name}: {len(each_found)}" for name, each_found in self.found.items()),
            *(f"  VIOLATION {each}" for each in self.violations[:20]),
        ]
        return "\n".join(lines)


async def run_chaos(
    folder: Path, seed: int, kills: int, gpus: int = 0, cluster: SlurmCluster | None = None
) -> Report:
    """Run clients while the killer kills, wait until all jobs have ended, and check.

    With ``gpus``, the server manages so many (simulated) GPUs, and runs several jobs at once. With
    a cluster, all jobs run there, and its daemons are killed, too.
    """
    rng = random.Random(seed)
    client_log = ClientLog()
    options: tuple[str, ...] = (
        "--cancel-grace",
        "0.5",
        "--max-completed-jobs",
        str(MAX_COMPLETED_JOBS),
    )
    if gpus:
        options += ("--gpus", ",".join(map(str, range(gpus))))
    environment = marked_environment(folder)
    if cluster is not None:
        options += _cluster_options(folder)
        environment |= cluster.environment
    began = time.monotonic()
    async with ServerProcess(
        folder / "data", *SERVER_OPTIONS, *options, environment=environment
    ) as server:
        killer = Killer(server, folder, random.Random(rng.random()), cluster)
        clients = [
            asyncio.create_task(
                Client(
                    server,
                    client_log,
                    random.Random(rng.random()),
                    folder,
                    gpus,
                    on_cluster=cluster is not None,
                ).run()
            )
            for _ in range(CLIENTS)
        ]
        try:
            await killer.kill(kills)
        finally:
            for client in clients:
                client.cancel()
            ends = await asyncio.gather(*clients, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError) and isinstance(end, BaseException):
                raise end
        with suppress(TimeoutError):  # the checks report jobs that did not end
            await until(lambda: _is_idle(server, folder), MAX_WAIT_SECONDS)
        found = find_violations(server, client_log, folder, MAX_COMPLETED_JOBS)
    found["orphans"] += [str(process) for process in find_processes(folder)]
    return Report(seed, time.monotonic() - began, killer.kills, client_log, found)


def _cluster_options(folder: Path) -> tuple[str, ...]:
    config = folder / "evalserver.toml"
    config.write_text(
        '[executors.cluster]\ntype = "slurm"\npoll_s = 0.5\nmax_handed_over = 8\n'
        f'python = "{sys.executable}"\n'
    )
    return ("--config", str(config), "--default-executor", "cluster")


async def _is_idle(server: ServerProcess, folder: Path) -> bool:
    queue = await server.api.call("GET", "/queue")
    return queue["queue_size"] == 0 and queue["running_job"] is None and not find_processes(folder)
