"""One storm: clients, kills, calm, checks."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checks import broken_promises
from tests.chaos.deeds import PASSED_ON, Client, Memory, environment, living
from tests.chaos.killer import Killer
from tests.support import ServerProcess, until

CLIENTS = 4
KEEP = 15
CALM_SECONDS = 600.0


@dataclass
class Report:
    """What was done, and what was found."""

    seed: int
    seconds: float
    kills: Counter[str]
    memory: Memory
    promises: dict[str, list[str]]

    @property
    def broken(self) -> list[str]:
        """The promises that were broken, with where."""
        return [f"{name}: {each}" for name, found in self.promises.items() for each in found]

    def __str__(self) -> str:
        kills = ", ".join(f"{victim} {n}" for victim, n in sorted(self.kills.items()))
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s",
            f"kills survived: {self.kills.total()} ({kills})",
            f"jobs accepted: {len(self.memory.priorities)}",
            f"requests answered: {self.memory.answered}, cut off: {self.memory.unknown}",
            *(f"{name}: {len(found)}" for name, found in self.promises.items()),
            *(f"  BROKEN {each}" for each in self.broken[:20]),
        ]
        return "\n".join(lines)


async def storm(folder: Path, seed: int, kills: int) -> Report:
    """Let clients live while the killer kills, wait until all is done, and check."""
    chance = random.Random(seed)
    memory = Memory()
    options = ("--cancel-grace", "0.5", "--max-completed-jobs", str(KEEP))
    began = time.monotonic()
    async with ServerProcess(
        folder / "data", *PASSED_ON, *options, environment=environment(folder)
    ) as server:
        killer = Killer(server, folder, random.Random(chance.random()))
        clients = [
            asyncio.create_task(
                Client(server, memory, random.Random(chance.random()), folder).live()
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
        with suppress(TimeoutError):  # then the checks say what did not come to its end
            await until(lambda: _is_calm(server, folder), CALM_SECONDS)
        promises = broken_promises(server, memory, folder, KEEP)
    promises["orphans"] += [str(process) for process in living(folder)]
    return Report(seed, time.monotonic() - began, killer.kills, memory, promises)


async def _is_calm(server: ServerProcess, folder: Path) -> bool:
    queue = await server.api.call("GET", "/queue")
    return queue["queue_size"] == 0 and queue["running_job"] is None and not living(folder)
