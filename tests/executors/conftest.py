"""What the tests of the local executor share: attempts that are a few lines of Python."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evalserver.executors import Attempt, LocalExecutor
from evalserver.runner import files
from tests.support import until


class Lab:
    """Attempts in one directory, each a few lines of Python."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.executor = LocalExecutor()
        self.attempts: list[Attempt] = []

    def attempt(self, program: str, timeout_s: float | None = None) -> Attempt:
        """A new attempt that runs this program; it is not started."""
        name = f"attempt-{len(self.attempts) + 1}"
        attempt = Attempt(
            token=f"{self.directory}/{name}",
            run_dir=self.directory / name,
            argv=(sys.executable, "-c", program),
            env={"PYTHONUNBUFFERED": "1"},
            cwd=self.directory,
            grace_s=0.5,
            timeout_s=timeout_s,
        )
        self.attempts.append(attempt)
        return attempt

    async def started(self, program: str, timeout_s: float | None = None) -> Attempt:
        """A started attempt of a program that says when it is ready, once it has."""
        attempt = self.attempt(program, timeout_s)
        await self.executor.start(attempt)
        await said(attempt, "ready")
        return attempt

    async def clean_up(self) -> None:
        """End whatever a test left running."""
        for attempt in self.attempts:
            if files.lock_is_held(attempt.run_dir):
                await self.executor.stop(attempt.run_dir)
                await self.executor.wait(attempt.run_dir)
            await self.executor.end_strays(attempt.run_dir, attempt.token)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Attempts below the test's own directory; those still running at its end are ended."""
    lab = Lab(tmp_path)
    yield lab
    await lab.clean_up()


async def said(attempt: Attempt, word: str) -> str:
    """The attempt's log, once this is in it."""
    log = attempt.run_dir / files.LOG_FILE

    async def found() -> str | None:
        text = log.read_text() if log.exists() else ""
        return text if word in text else None

    return str(await until(found))
