"""A server that dies at crash points, with evaluations on this machine or on a real Slurm."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp

from evalserver.runner import cgroups
from evalserver.runner.crash_point import VARIABLE
from tests.slurm_cluster import SlurmCluster
from tests.support import Json, ServerProcess, stand_in_environment, until


class CrashingServer(ServerProcess):
    """A server that can be started with a crash point, and restarted without it."""

    begun: tuple[str, ...] = ("claimed",)
    """The events of an attempt that has begun and runs."""

    async def start_to_crash_at(self, point: str) -> None:
        """Stop the server, and start it so that it, or its runner, is killed at ``point``."""
        self.stop()
        self._environment[VARIABLE] = point
        await self.start()

    def disable_cgroups(self) -> None:
        """Make runners create no cgroups from the next start on."""
        self._environment[cgroups.VARIABLE] = "none"

    async def restart_after_crash(self) -> None:
        """Wait until the server has crashed, then start it without a crash point."""
        await self.wait_for_crash()
        await self.start_without_crash_point()

    async def wait_for_crash(self) -> None:
        """Wait until the server has been killed."""

        async def ended() -> int | None:
            return self.process.poll()

        assert await until(ended) == -signal.SIGKILL

    async def start_without_crash_point(self) -> None:
        """Start the server without a crash point."""
        del self._environment[VARIABLE]
        await self.start()

    async def submit(self, model_args: Json, **fields: object) -> str:
        """Submit to a server that may be killed before it responds; returns the job's id."""
        with suppress(aiohttp.ClientError):
            return await self.api.submit(model_args=model_args, **fields)
        return self.query("SELECT job_id FROM jobs ORDER BY seq DESC LIMIT 1")[0]

    def events_of(self, job_id: str) -> list[str]:
        """The job's events from the audit log."""
        sql = "SELECT event FROM job_events WHERE job_id = ? ORDER BY event_id"
        return self.query(sql, job_id)


class CrashingServerOnSlurm(CrashingServer):
    """Such a server with one place for evaluations, on a cluster. Runners there crash, too."""

    begun = ("handed_over", "started")

    def __init__(self, folder: Path, cluster: SlurmCluster, *options: str) -> None:
        self._cluster = cluster
        self._point = folder / "crash-point"
        config = folder / "evalserver.toml"
        config.write_text(
            '[executors.cluster]\ntype = "slurm"\npoll_s = 0.5\nmax_handed_over = 1\n'
            f'python = "{_python_that_reads(self._point)}"\n'
        )
        super().__init__(
            folder / "data",
            *("--config", str(config), "--default-executor", "cluster", *options),
            environment={**stand_in_environment(), **cluster.environment},
        )

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        # What still runs there would occupy it for the next test.
        self._cluster.run("scancel", f"--user={os.getuid()}")

    async def start_to_crash_at(self, point: str) -> None:
        """Stop the server, and start it so that it, or its runner, is killed at ``point``."""
        self._point.write_text(point)
        await super().start_to_crash_at(point)

    async def start_without_crash_point(self) -> None:
        """Start the server without a crash point."""
        self._point.unlink()
        await super().start_without_crash_point()


def _python_that_reads(point: Path) -> Path:
    """Make a Python for runners on nodes, which have none of the server's variables."""
    python = point.with_name("python-on-node")
    python.write_text(
        f'#!/bin/sh\n[ -e {point} ] && export {VARIABLE}="$(cat {point})"\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    return python
