"""Running ``evalserver follow`` as a user does, and killing it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.real_harness import interpreter
from tests.support import WAIT_SECONDS
from tests.trackers.history import Numbers

ROOT = Path(__file__).parents[2]
TRACKERS = interpreter("trackers")

MAX_LIFE_S = 0.3
"""After at most so long since it began to send, a follower of a storm is killed."""


class Follow:
    """The command ``evalserver follow`` with its options, in an interpreter's environment."""

    def __init__(
        self,
        url: str,
        state: Path,
        *options: object,
        python: Path | str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self._started: list[subprocess.Popen[str]] = []
        self.command = [
            *(str(python), "-m", "evalserver", "follow", "--url", url, "--state", str(state)),
            *map(str, options),
        ]
        without_address = {
            name: text for name, text in os.environ.items() if not name.startswith("EVALSERVER_")
        }
        self.environment = {**without_address, "PYTHONPATH": str(ROOT), **(environment or {})}

    def run(self, *options: object) -> subprocess.CompletedProcess[str]:
        """Run it to its end, without a server in this process."""
        return subprocess.run(
            [*self.command, *map(str, options)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def once(self, *options: object) -> str:
        """Send what has finished; returns what it said. It must succeed."""
        done = self.run("--once", *options)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self, *options: object) -> subprocess.Popen[str]:
        """Start it without waiting."""
        process = subprocess.Popen(
            [*self.command, *map(str, options)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what was started and still runs."""
        for process in self._started:
            if process.poll() is None:
                kill(process)

    def kill_often(
        self,
        times: int,
        count: Callable[[], int],
        end: int,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Start it and kill it with all of its processes, so many times, each at a random moment
        after it has sent something.

        ``count`` says how much the destination has; at ``end`` there is nothing left to send.
        ``meanwhile`` is called just before each kill.
        """
        chance = random.Random(times)
        for _ in range(times):
            before = count()
            process = self.start()
            while process.poll() is None and count() == before < end:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, MAX_LIFE_S))
            meanwhile()
            kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and what it has started, as a crash of the machine would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=WAIT_SECONDS)


def rows_of(path: Path) -> list[Any]:
    """The lines of a file of JSON."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_by(script: str, *arguments: object) -> Any:
    """The JSON that a program prints in the environment of the trackers."""
    done = subprocess.run(
        [TRACKERS, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def steps_of(file: Path) -> list[int]:
    """The steps of the lines of a file."""
    return [row["step"] for row in rows_of(file)]


def assert_each_once(file: Path, numbers: Numbers) -> None:
    """Assert that a file has these numbers, each of them once, and no others."""
    found = [
        (row["job_id"], name, row["step"], number[key])
        for row in rows_of(file)
        for number in row["numbers"]
        for name, key in (("mme/acc", "value"), ("mme/acc_stderr", "stderr"))
    ]
    assert sorted(found) == sorted(numbers)


def count_lines(file: Path) -> int:
    """The number of lines of a file, which may not be there."""
    return file.read_bytes().count(b"\n") if file.exists() else 0
