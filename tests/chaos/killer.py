"""Kills the server, runners and harnesses with SIGKILL at random moments."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import psutil

from evalserver.executors.run_files import runner_pid
from tests.chaos.clients import find_processes
from tests.slurm_cluster import SlurmCluster
from tests.support import ServerProcess, until

VICTIMS: Mapping[str, int] = MappingProxyType(
    {
        "server": 5, "runner": 3, "harness": 3, "server and runner": 1,
        "server, stopped by SIGTERM": 2, "starting server": 1,
    }
)  # fmt: skip
"""What is killed, and how often of all."""
SLURM_VICTIMS: Mapping[str, int] = MappingProxyType({"slurmctld": 3, "slurmd": 2})
MAX_DOWN_SECONDS = 2.0
MAX_VICTIM_SECONDS = 5.0
"""How long a victim is waited for: on a cluster, there are moments in which nothing runs."""


class Killer:
    """Kills processes until the requested number of kills is reached; on a cluster its daemons,
    too."""

    def __init__(
        self,
        server: ServerProcess,
        folder: Path,
        rng: random.Random,
        cluster: SlurmCluster | None = None,
    ) -> None:
        self._server = server
        self._folder = folder
        self._rng = rng
        self._cluster = cluster
        self._victims = dict(VICTIMS) if cluster is None else {**VICTIMS, **SLURM_VICTIMS}
        self.kills: Counter[str] = Counter()

    async def kill(self, count: int) -> None:
        """Kill ``count`` times; the server runs at the end."""
        while self.kills.total() < count:
            await asyncio.sleep(self._rng.uniform(0.1, 1.2))
            victims, weights = zip(*self._victims.items(), strict=True)
            victim = self._rng.choices(victims, weights)[0]
            if await self._kill_victim(victim):
                self.kills[victim] += 1

    async def _kill_victim(self, victim: str) -> bool:
        match victim:
            case "runner":
                return await _once_there(self._kill_runners)
            case "harness":
                return await _once_there(self._kill_harnesses)
            case "slurmctld" | "slurmd":
                await self._kill_daemon(victim)
                return True
            case "server, stopped by SIGTERM":
                assert self._server.stop() == 0
            case "starting server":
                self._server.kill()
                starting = asyncio.create_task(self._server.start())
                await asyncio.sleep(self._rng.uniform(0, 0.6))
                starting.cancel()
                with suppress(asyncio.CancelledError, AssertionError):
                    await starting
                self._server.kill()
            case "server and runner":
                self._server.kill()
                self._kill_runners()
            case _:
                self._server.kill()
        await asyncio.sleep(self._rng.choice([0, 0, 0.3, 1]))
        await self._server.start()
        return True

    async def _kill_daemon(self, name: str) -> None:
        """Kill a daemon of the cluster, and start it again after a while."""
        cluster = self._cluster
        assert cluster is not None
        down_s = self._rng.uniform(0, MAX_DOWN_SECONDS)
        if name == "slurmctld":
            await asyncio.to_thread(cluster.kill_slurmctld)
            await asyncio.sleep(down_s)
            await asyncio.to_thread(cluster.start_slurmctld)
            return
        node = self._rng.choice(cluster.nodes)
        await asyncio.to_thread(cluster.kill_slurmd, node)
        await asyncio.sleep(down_s)
        # It need not take jobs at once: Slurm may drain it, and the operator finds it later.
        await asyncio.to_thread(cluster.start_slurmd, node, wait=False)

    def _kill_runners(self) -> bool:
        killed = False
        for record in self._server.data_dir.glob("runs/*/*/runner.json"):
            killed |= self._kill_runner(record.parent)
        return killed

    def _kill_runner(self, run_dir: Path) -> bool:
        pid = runner_pid(run_dir)
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            # The kernel may have given the number to another process.
            if pid is not None and str(run_dir) in psutil.Process(pid).cmdline():
                psutil.Process(pid).send_signal(signal.SIGKILL)
                return True
        return False

    def _kill_harnesses(self) -> bool:
        processes = find_processes(self._folder)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return bool(processes)


async def _once_there(kill: Callable[[], bool]) -> bool:
    """Kill as soon as there is a victim. Returns False if there was none for some seconds."""

    async def has_killed() -> bool:
        return await asyncio.to_thread(kill)

    try:
        return bool(await until(has_killed, MAX_VICTIM_SECONDS))
    except TimeoutError:
        return False
