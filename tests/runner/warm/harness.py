"""A small harness to start warm and cold: a package, a preload program, and scripts."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.runner import files
from evalserver.runner.warm.dependencies import CLOCK_MARGIN_NS
from tests.runner.runs import runner_command
from tests.runner.warm.driver import WarmParent, prepare
from tests.support import WAIT_SECONDS

PRELOAD = """
import json, os, sys
sys.path[0] = os.getcwd()
PACKAGE = "tiny"
DISTRIBUTION = "tiny"

def preload(include_path):
    import tiny.numbers
    for each in sorted(os.listdir(include_path)) if include_path else ():
        open(os.path.join(include_path, each)).read()
{more}
"""


@dataclass(frozen=True)
class Ended:
    """What an attempt left."""

    exit: dict[str, Any]
    log: str
    runner_log: str

    @property
    def code(self) -> int:
        """The exit code of the harness."""
        return int(self.exit["exit_code"])


class TinyHarness:
    """A package ``tiny`` in ``packages``, on PYTHONPATH, and a working directory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.packages = place / "packages"
        self.package = self.packages / "tiny"
        self.package.mkdir(parents=True)
        self.cwd = place / "working"
        self.cwd.mkdir()
        self.tasks = place / "tasks"
        self.tasks.mkdir()
        (self.tasks / "one.yaml").write_text("task: one\n")
        (self.package / "__init__.py").write_text("")
        (self.package / "numbers.py").write_text("ONE = 1\n")
        (self.package / "task.yaml").write_text("task: tiny\n")
        metadata = self.packages / "tiny-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        self.preload = place / "tiny_preload.py"
        self.set_preload("")
        self.environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(self.packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._runs = 0

    def set_preload(self, more: str) -> None:
        """Have the preload program do something more, in lines of Python."""
        self.preload.write_text(PRELOAD.format(more=more))

    def parent(self, *, include: bool = False, **environment: str) -> WarmParent:
        """Start a warm parent, when no file is so new that it may change while it is read."""
        time.sleep(1.2 * CLOCK_MARGIN_NS / 1e9)
        self.environment.update(environment)
        return WarmParent(
            sys.executable,
            self.preload,
            self.environment,
            include_path=str(self.tasks) if include else "",
            cwd=self.cwd,
            log=self.place / "parent.log",
        )

    def prepare(self, program: str, *arguments: str, **fields: Any) -> Path:
        """Write the run directory of a script; return it."""
        self._runs += 1
        run_dir = self.place / f"run-{self._runs}"
        script = self.place / "scripts" / "script.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(program)
        argv = [sys.executable, str(script), *arguments]
        environment = fields.pop("environment", self.environment)
        prepare(run_dir, argv, environment, fields.pop("cwd", self.cwd), **fields)
        return run_dir

    def run_warm(self, parent: WarmParent, run_dir: Path) -> Ended:
        """Run an attempt to its end, started by a parent."""
        answer = parent.start(run_dir)
        assert answer.get("code") == 0, answer
        return ended(run_dir)

    def run_cold(self, run_dir: Path) -> Ended:
        """Run an attempt to its end, as without a parent."""
        with (run_dir / files.RUNNER_LOG_FILE).open("ab") as log:
            subprocess.run(
                runner_command(run_dir), stdin=subprocess.DEVNULL, stderr=log, check=True
            )
        return ended(run_dir)


def ended(run_dir: Path) -> Ended:
    """Wait for the end of an attempt."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (run_dir / files.EXIT_FILE).exists():
        assert time.monotonic() < deadline, f"{run_dir} has not ended"
        time.sleep(0.005)
    log, runner_log = run_dir / files.LOG_FILE, run_dir / files.RUNNER_LOG_FILE
    return Ended(
        json.loads((run_dir / files.EXIT_FILE).read_text()),
        log.read_text() if log.exists() else "",
        runner_log.read_text() if runner_log.exists() else "",
    )
