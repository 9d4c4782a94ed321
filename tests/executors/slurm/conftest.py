"""Jobs on the real Slurm of tests."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from evalserver.executors.slurm import SlurmCommands, SlurmJob, SlurmSubmission
from tests.executors.slurm.attempts import AttemptLab
from tests.slurm_cluster import SlurmCluster
from tests.support import until


class Lab:
    """Jobs of names of their own on a cluster that others use as well."""

    def __init__(self, cluster: SlurmCluster, directory: Path) -> None:
        self.cluster = cluster
        self.commands = SlurmCommands({**os.environ, **cluster.environment})
        self._directory = directory
        self._names: list[str] = []

    def job(self, script: str, directory: str = "run", **options: Any) -> SlurmSubmission:
        """A job that runs a few lines of sh; it is not submitted."""
        run_dir = self._directory / directory
        run_dir.mkdir(exist_ok=True)
        self._names.append(f"job-{uuid4()}")
        argv = ("/bin/sh", "-c", script)
        return SlurmSubmission(self._names[-1], run_dir, run_dir / "slurm.log", argv, **options)

    async def submitted(self, script: str, **options: Any) -> SlurmSubmission:
        """Submit a job."""
        job = self.job(script, **options)
        await self.commands.submit(job)
        return job

    async def find(self, name: str) -> SlurmJob | None:
        """The job of this name, as Slurm sees it now."""
        found = [job for job in await self.commands.jobs() if job.name == name]
        assert len(found) < 2, found
        return found[0] if found else None

    async def reached(self, job: SlurmSubmission, *states: str) -> SlurmJob:
        """Wait until the job is in one of these states."""

        async def is_there() -> SlurmJob | None:
            found = await self.find(job.name)
            return found if found is not None and found.state in states else None

        found: SlurmJob = await until(is_there)
        return found

    async def ended(self, job: SlurmSubmission) -> SlurmJob:
        """Wait for the end of the job."""

        async def is_final() -> SlurmJob | None:
            found = await self.find(job.name)
            return found if found is not None and found.state.is_final else None

        found: SlurmJob = await until(is_final)
        return found

    async def clean_up(self) -> None:
        """End what the test left, so that the next finds an empty cluster."""
        for name in self._names:
            await self.commands.cancel(name)

        async def is_empty() -> bool:
            jobs = await self.commands.jobs()
            return all(job.state.is_final for job in jobs if job.name in self._names)

        await until(is_empty)


@pytest.fixture
async def lab(slurm: SlurmCluster, tmp_path: Path) -> AsyncIterator[Lab]:
    """The cluster, and jobs that are ended after the test."""
    lab = Lab(slurm, tmp_path)
    yield lab
    await lab.clean_up()


@pytest.fixture
async def attempts(slurm: SlurmCluster, tmp_path: Path) -> AsyncIterator[AttemptLab]:
    """The cluster, and attempts that are ended after the test."""
    lab = AttemptLab(slurm, tmp_path)
    yield lab
    await lab.clean_up()
