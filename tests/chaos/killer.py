"""Kills the server, runners and harnesses with SIGKILL at random moments."""

import asyncio
import random
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from evalserver.executors.run_files import runner_pid
from evalserver.runner.files import lock_is_held
from tests.chaos.clients import find_processes
from tests.support import ServerProcess


class Killer:
    """Kills processes until the requested number of kills is reached."""

    def __init__(self, server: ServerProcess, folder: Path, rng: random.Random) -> None:
        self._server = server
        self._folder = folder
        self._rng = rng
        self.kills: Counter[str] = Counter()

    async def kill(self, count: int) -> None:
        """Kill ``count`` times; the server runs at the end."""
        victims = {
            "server": 5, "runner": 3, "harness": 3, "server and runner": 1,
            "server, stopped by SIGTERM": 2, "starting server": 1,
        }  # fmt: skip
        while self.kills.total() < count:
            await asyncio.sleep(self._rng.uniform(0.1, 1.2))
            victim = self._rng.choices(list(victims), list(victims.values()))[0]
            if await self._kill_victim(victim):
                self.kills[victim] += 1

    async def _kill_victim(self, victim: str) -> bool:
        match victim:
            case "runner":
                return self._kill_runners()
            case "harness":
                return self._kill_harnesses()
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

    def _kill_runners(self) -> bool:
        killed = False
        for lock in self._server.data_dir.glob("runs/*/*/lock"):
            killed |= self._kill_runner(lock.parent)
        return killed

    def _kill_runner(self, run_dir: Path) -> bool:
        pid = runner_pid(run_dir)
        if pid is None or not lock_is_held(run_dir):
            return False
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).send_signal(signal.SIGKILL)
        return True

    def _kill_harnesses(self) -> bool:
        processes = find_processes(self._folder)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return bool(processes)
