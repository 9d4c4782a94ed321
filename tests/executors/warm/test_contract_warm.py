"""What every executor must do, on the server's own machine, with attempts that are started warm."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalserver.executors import LaunchSpec, LocalExecutor, WarmParents, WarmPlan
from evalserver.executors.warm import WarmParent
from evalserver.runner import files
from tests.executors.conftest import Lab
from tests.executors.contract import ExecutorContract, Place
from tests.support import until

PRELOAD = Path(__file__).with_name("preload_nothing.py")


class WaitsForParents(LocalExecutor):
    """Starts every new attempt warm: it waits until the parent is ready."""

    def __init__(self, parents: WarmParents) -> None:
        super().__init__(warm=parents)
        self._parents = parents

    async def start(self, spec: LaunchSpec) -> None:
        """Start an attempt."""

        async def is_ready() -> bool:
            return isinstance(await self._parents.find(spec), WarmParent)

        await until(is_ready, 60)
        await super().start(spec)
        start = json.loads((spec.run_dir / files.START_FILE).read_text())
        assert start == {"start": "warm"}


class WarmPlace(Lab):
    """Attempts that are started warm, each of which runs a few lines of Python."""

    def __init__(self, directory: Path) -> None:
        self.parents = WarmParents(directory / "warm")
        super().__init__(directory)

    def make_executor(self) -> LocalExecutor:
        """Return another executor with the same parents."""
        return WaitsForParents(self.parents)

    def spec(self, program: str, *args: Any, **changes: Any) -> LaunchSpec:
        """Return a new attempt that runs this program, from a file. It is not started."""
        spec = super().spec(program, *args, **{"warm": WarmPlan("a", PRELOAD), **changes})
        script = self.directory / f"program-{len(self.specs)}.py"
        script.write_text(program)
        command = replace(spec.command, argv=(sys.executable, str(script)))
        self.specs[-1] = replace(spec, command=command)
        return self.specs[-1]

    async def clean_up(self) -> None:
        """End the parents, and whatever a test left running."""
        await self.parents.close()
        await super().clean_up()


class TestOnThisMachineWarm(ExecutorContract):
    """Attempts that warm parents start."""

    @pytest.fixture
    async def place(self, tmp_path: Path) -> AsyncIterator[Place]:
        """Attempts below the test's own directory."""
        place = WarmPlace(tmp_path)
        yield place
        await place.clean_up()
