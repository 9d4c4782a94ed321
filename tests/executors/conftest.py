"""Shared by the tests of the local executor: attempts that run a few lines of Python."""

import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalserver.executors import Command, LaunchSpec, LocalExecutor
from evalserver.runner import files
from tests.support import until


class Lab:
    """Attempts in one directory, each of which runs a few lines of Python."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.executor = self.make_executor()
        self.specs: list[LaunchSpec] = []

    def make_executor(self) -> LocalExecutor:
        """Return another executor, as after a restart of the server."""
        return LocalExecutor()

    def spec(
        self,
        program: str,
        timeout_s: float | None = None,
        files: Mapping[str, str] | None = None,
        directories: tuple[Path, ...] = (),
        **changes: Any,
    ) -> LaunchSpec:
        """Return a new attempt that runs this program. It is not started."""
        name = f"attempt-{len(self.specs) + 1}"
        spec = LaunchSpec(
            token=f"{self.directory}/{name}",
            run_dir=self.directory / name,
            command=Command((sys.executable, "-c", program), files or {}, directories),
            env={"PYTHONUNBUFFERED": "1"},
            cwd=self.directory,
            grace_s=0.5,
            timeout_s=timeout_s,
        )
        self.specs.append(replace(spec, **changes))
        return self.specs[-1]

    async def running(
        self, program: str, timeout_s: float | None = None, **changes: Any
    ) -> LaunchSpec:
        """Start an attempt of a program that prints when it is ready, and wait until it has."""
        spec = self.spec(program, timeout_s, **changes)
        await self.executor.start(spec)
        await log_containing(spec, "ready")
        return spec

    async def clean_up(self) -> None:
        """End whatever a test left running."""
        for spec in self.specs:
            if files.lock_is_held(spec.run_dir):
                await self.executor.stop(spec.run_dir)
                await self.executor.wait(spec.run_dir)
            await self.executor.kill_orphans(spec.run_dir, spec.token)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Attempts below the test's own directory; those that still run at its end are killed."""
    lab = Lab(tmp_path)
    yield lab
    await lab.clean_up()


async def log_containing(spec: LaunchSpec, word: str) -> str:
    """Return the attempt's log, once it contains this word."""
    log = spec.run_dir / files.LOG_FILE

    async def found() -> str | None:
        text = log.read_text() if log.exists() else ""
        return text if word in text else None

    return str(await until(found))
