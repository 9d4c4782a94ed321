"""Shared by the tests of warm starts: attempts of a harness that stands for a real one."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from evalserver.executors import Exit, LaunchSpec, LocalExecutor, WarmLimits, WarmParents, WarmPlan
from evalserver.executors.warm import ParentState, ParentStatus
from evalserver.runner import files
from tests.executors.conftest import Lab
from tests.support import until

TRIED = frozenset({version("pip")})
FAKE = Path(__file__).with_name("fake_harness.py")


class WarmLab(Lab):
    """Attempts that may be started warm, by a parent that does what ``behavior`` says."""

    def __init__(self, directory: Path, behavior: str, limits: WarmLimits) -> None:
        self.preload = directory / "preload" / "program"
        self.preload.parent.mkdir()
        self.preload.write_text(behavior)
        self.python = directory / "python"
        self.python.write_text(f"#!{sys.executable}\n{FAKE.read_text()}")
        self.python.chmod(0o755)
        self.parents = WarmParents(directory / "warm", limits)
        self.reported: list[str] = []
        super().__init__(directory)

    def make_executor(self) -> LocalExecutor:
        """Return an executor with the same parents."""
        return LocalExecutor(
            warm=self.parents,
            on_start=lambda cold: self.reported.append("warm" if cold is None else cold.code),
        )

    def spec(self, program: str = "print('done')", *args: Any, **changes: Any) -> LaunchSpec:
        """Return a new attempt that runs this program. It is not started."""
        plan = WarmPlan("an_engine", self.preload, None, TRIED, "pip")
        spec = super().spec(program, *args, **{"warm": plan, **changes})
        command = replace(spec.command, argv=(str(self.python), *spec.command.argv[1:]))
        self.specs[-1] = replace(spec, command=command)
        return self.specs[-1]

    async def ran(self, spec: LaunchSpec | None = None) -> dict[str, str]:
        """Run an attempt to its end, and return how it was started."""
        spec = self.spec() if spec is None else spec
        await self.executor.start(spec)
        end = await self.executor.wait(spec.run_dir)
        assert isinstance(end, Exit), end
        assert (end.reason, end.exit_code) == ("exited", 0)
        assert (spec.run_dir / files.LOG_FILE).read_text() == "done\n"
        return self.start_of(spec)

    def start_of(self, spec: LaunchSpec) -> dict[str, str]:
        """Return how an attempt was started."""
        started: dict[str, str] = json.loads((spec.run_dir / files.START_FILE).read_text())
        return started

    async def ready(self, spec: LaunchSpec | None = None) -> ParentStatus:
        """Have a parent loaded for an attempt, and wait until it is ready."""
        await self.parents.find(self.spec() if spec is None else spec)

        async def found() -> ParentStatus | None:
            parents = await self.parents.status()
            return next((each for each in parents if each.state is ParentState.READY), None)

        status: ParentStatus = await until(found)
        return status

    async def clean_up(self) -> None:
        """End whatever a test left running."""
        await self.parents.close()
        await super().clean_up()


MakeLab = Callable[..., WarmLab]


@pytest.fixture
async def make_lab(tmp_path: Path) -> AsyncIterator[MakeLab]:
    """Makes the attempts of a test, below its own directory."""
    made: list[WarmLab] = []

    def make(behavior: str = "starts", **limits: Any) -> WarmLab:
        made.append(WarmLab(tmp_path, behavior, WarmLimits(**limits)))
        return made[-1]

    yield make
    for lab in made:
        await lab.clean_up()
