"""Warm and cold runs of the real harnesses."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalserver.engines import in_harness
from tests.real_harness import interpreter, offline_environment
from tests.runner.runs import runner_command
from tests.runner.warm.driver import WarmParent, prepare
from tests.runner.warm.harness import Ended, ended

PROGRAMS = Path(in_harness.__file__).parent
PASSED_ON = ("PATH", "HOME", "LANG")
TIMES = re.compile(
    r"date|time|_at$|location|path|uuid|^id$|logs|hash$|started|completed|^version$|eval_id|run_id"
)
"""Names of what differs between any two runs."""

ADDRESS = re.compile("at 0x[0-9a-f]+")

Command = Callable[[Path, Path], list[str]]
"""Returns arguments after the interpreter, for a run directory and a directory of tasks."""


@dataclass
class RealHarness:
    """A real harness, and the directory that its runs are in."""

    name: str
    place: Path
    tasks: Path
    command: Command
    extra: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its runs."""
        offline = offline_environment(self.place / "hub")
        names = (*PASSED_ON, *(name for name in offline if name.startswith("HF_")))
        kept = {name: offline[name] for name in names if name in offline}
        return {**kept, "PYTHONUNBUFFERED": "1", **self.extra}

    def parent(self, program: Path | None = None) -> WarmParent:
        """Start a warm parent of it."""
        preload = PROGRAMS / f"{self.name.replace('-', '_')}_preload.py"
        return WarmParent(
            str(interpreter(self.name)),
            program or preload,
            self.environment,
            include_path=str(self.tasks),
            cwd=self.place,
            log=self.place / "parent.log",
        )

    def prepare(self) -> Path:
        """Write the run directory of one more run."""
        self.runs += 1
        run_dir = self.place / "runs" / str(self.runs)
        (run_dir / "output").mkdir(parents=True)
        argv = [str(interpreter(self.name)), *self.command(run_dir, self.tasks)]
        prepare(run_dir, argv, self.environment, self.place)
        return run_dir

    def run_cold(self) -> Path:
        """Run it once, as without a parent; return the run directory."""
        run_dir = self.prepare()
        subprocess.run(runner_command(run_dir), stdin=subprocess.DEVNULL, check=True)
        return _succeeded(run_dir)

    def run_warm(self, parent: WarmParent) -> Path:
        """Run it once, started by a parent; return the run directory."""
        run_dir = self.prepare()
        answer = parent.start(run_dir)
        assert answer.get("code") == 0, answer
        return _succeeded(run_dir)


def _succeeded(run_dir: Path) -> Path:
    end: Ended = ended(run_dir)
    assert end.code == 0, end.log
    assert not end.runner_log
    return run_dir


def saved(run_dir: Path) -> dict[str, Any]:
    """Return the results and samples that a run saved, without times, paths and addresses."""
    found: dict[str, Any] = {}
    for path in sorted((run_dir / "output").rglob("*.json*")):
        kind = "samples" if "samples" in path.name else "results"
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        text = json.dumps([json.loads(line) for line in lines]).replace(str(run_dir), "run")
        text = ADDRESS.sub("at 0x", text)
        found[kind] = _without_times(json.loads(text))
    return found


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(each) for k, each in value.items() if not TIMES.search(k)}
    return [_without_times(each) for each in value] if isinstance(value, list) else value
