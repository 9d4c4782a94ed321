"""Attempts on the real Slurm of tests, through the executor."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.executors import Command, LaunchSpec
from evalserver.executors.slurm import SlurmCommands, SlurmJob
from evalserver.executors.slurm.executor import SlurmExecutor
from evalserver.executors.slurm.follower import Patience
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.runner_copy import copy_runner
from evalserver.executors.slurm.submission_record import slurm_name
from tests.executors.conftest import log_containing
from tests.slurm_cluster import SlurmCluster
from tests.support import until

PATIENCE = Patience(looks=3, grace_s=0.5, max_silence_s=20.0)


class AttemptLab:
    """Attempts below one directory, on a cluster that others use as well."""

    def __init__(self, cluster: SlurmCluster, run_root: Path) -> None:
        self.cluster = cluster
        self.run_root = run_root
        (run_root / "runs").mkdir()
        self.specs: list[LaunchSpec] = []
        self.commands = SlurmCommands({**os.environ, **cluster.environment})
        self.executor = self.make_executor()

    def make_executor(self, commands: SlurmCommands | None = None, **options: Any) -> SlurmExecutor:
        """Another executor for the same cluster, as after a restart of the server."""
        values = {"python": sys.executable, "poll_s": 0.2, **options}
        return SlurmExecutor(
            SlurmOptions(self.run_root, **values),
            commands or self.commands,
            copy_runner,
            PATIENCE,
            look_s=0.2,
        )

    def spec(self, program: str, **changes: Any) -> LaunchSpec:
        """A new attempt that runs a few lines of Python. It is not started."""
        run_dir = self.run_root / "runs" / f"job-{len(self.specs) + 1}" / "attempt-1"
        spec = LaunchSpec(
            token=str(run_dir),
            run_dir=run_dir,
            command=Command((sys.executable, "-c", program)),
            env={"PYTHONUNBUFFERED": "1"},
            cwd=self.run_root,
            grace_s=0.5,
        )
        self.specs.append(replace(spec, **changes))
        return self.specs[-1]

    async def handed_over(self, program: str, **changes: Any) -> LaunchSpec:
        """Start a new attempt."""
        spec = self.spec(program, **changes)
        await self.executor.reserve(spec.run_dir)
        await self.executor.start(spec)
        return spec

    async def running(self, program: str, **changes: Any) -> LaunchSpec:
        """Start an attempt of a program that prints when it is ready, and wait until it has."""
        spec = await self.handed_over(program, **changes)
        await log_containing(spec, "ready")
        return spec

    async def jobs(self, spec: LaunchSpec) -> list[SlurmJob]:
        """The jobs of this attempt, as Slurm sees them now."""
        name = slurm_name(spec.run_dir)
        return [job for job in await self.commands.jobs() if job.name == name]

    async def job_in(self, spec: LaunchSpec, *states: str) -> SlurmJob:
        """Wait until the attempt's only job is in one of these states."""

        async def is_there() -> SlurmJob | None:
            found = await self.jobs(spec)
            assert len(found) < 2, found
            return found[0] if found and found[0].state in states else None

        found: SlurmJob = await until(is_there)
        return found

    async def clean_up(self) -> None:
        """End what the test left."""
        names = [slurm_name(spec.run_dir) for spec in self.specs]
        for name in names:
            await self.commands.cancel(name)

        async def is_empty() -> bool:
            jobs = await self.commands.jobs()
            return all(job.state.is_final for job in jobs if job.name in names)

        await until(is_empty)
