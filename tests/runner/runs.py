"""Shared by the tests of the runner: a run directory with a real runner."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from evalserver.runner import cgroups, files
from evalserver.runner.files import Exit
from evalserver.runner.foreground import FOREGROUND_OPTION
from evalserver.runner.launch_spec import Command, LaunchSpec
from tests.support import WAIT_SECONDS, until

MARK = "RUNNER_TEST_DIRECTORY"
"""Variable with the run directory, in the environment of every process of a test's harness."""

HANGS = "import time; print('ready', flush=True); time.sleep(10_000)"

STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {HANGS}"

HIDES = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("hidden", os.getpid(), "ready", flush=True)
        time.sleep(10_000)
    os._exit(0)
time.sleep(10_000)
"""
"""A harness with a twice-forked child in its own session that ignores TERM."""


def runner_command(run_dir: Path) -> list[str]:
    """Return the command that starts a runner."""
    return [sys.executable, "-I", "-S", str(files.PROGRAM), str(run_dir)]


def is_running(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def is_stopped(pid: int) -> bool:
    """Return whether the process is stopped by a signal."""
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def runner_of(run_dir: Path) -> int:
    """Return the recorded pid of the runner of a run directory."""
    return int(json.loads((run_dir / files.RUNNER_FILE).read_text())["pid"])


async def is_recorded(run_dir: Path, pid_file: Path) -> bool:
    """Return whether the runner has recorded the process whose pid is in a file."""
    record = run_dir / files.PROCESSES_FILE
    if not (pid_file.exists() and pid_file.read_text() and record.exists()):
        return False
    pids = [pid for pid, *_ in json.loads(record.read_text())["processes"]]
    return int(pid_file.read_text()) in pids


class Run:
    """One attempt of a harness of a few lines of Python."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        self._in_foreground: list[subprocess.Popen[bytes]] = []
        self.exit_file = directory / files.EXIT_FILE

    def prepare(
        self,
        program: str,
        timeout_s: float | None = None,
        grace_s: float = WAIT_SECONDS,
        secrets: Sequence[str] = (),
        memory_bytes: int | None = None,
        max_silence_s: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Write ``job.json`` for a Python program."""
        argv = [sys.executable, "-c", program]
        self.prepare_command(argv, timeout_s, grace_s, secrets, memory_bytes, max_silence_s, env)

    def prepare_command(
        self,
        argv: list[str],
        timeout_s: float | None = None,
        grace_s: float = WAIT_SECONDS,
        secrets: Sequence[str] = (),
        memory_bytes: int | None = None,
        max_silence_s: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Write ``job.json`` for any command."""
        spec = LaunchSpec(
            run_dir=self.dir,
            token=str(self.dir),
            command=Command(tuple(argv)),
            cwd=self.dir,
            env={MARK: str(self.dir), **(env or {})},
            grace_s=grace_s,
            timeout_s=timeout_s,
            secrets=tuple(secrets),
            memory_bytes=memory_bytes,
            max_silence_s=max_silence_s,
        )
        (self.dir / files.JOB_FILE).write_text(spec.to_json())

    def start_runner(self, python: str = sys.executable) -> int:
        """Start a runner; return its exit code once it is in the background, or has failed."""
        not_for_the_harness = b"what the runner's own stdin holds"
        command = [python, *runner_command(self.dir)[1:]]
        return subprocess.run(command, input=not_for_the_harness, check=False).returncode

    def start_in_foreground(
        self, *, python: str = sys.executable, env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a runner as a cluster does; return its process."""
        program, run_dir = runner_command(self.dir)[-2:]
        process = subprocess.Popen(
            [python, "-I", "-S", program, FOREGROUND_OPTION, run_dir],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
        )
        self._in_foreground.append(process)
        return process

    async def start(
        self, program: str, timeout_s: float | None = None, grace_s: float = WAIT_SECONDS
    ) -> None:
        """Run a Python program that prints when it is ready, and wait for that."""
        self.prepare(program, timeout_s, grace_s)
        assert self.start_runner() == 0
        await self.says("ready")

    async def says(self, word: str) -> None:
        """Wait until the harness has printed this."""

        async def said() -> bool:
            return word in self.log

        await until(said)

    async def end(self) -> Exit:
        """Wait for the end of the runner, and return how the attempt ended."""

        async def gone() -> bool:
            return self.exit_file.exists() and not self.is_locked

        await until(gone)
        return Exit(**json.loads(self.exit_file.read_text()))

    def cancel(self) -> None:
        """Ask the runner to stop the attempt."""
        (self.dir / files.CANCEL_FILE).touch()

    @property
    def log(self) -> str:
        """The output of the harness so far."""
        path = self.dir / files.LOG_FILE
        return path.read_text() if path.exists() else ""

    @property
    def is_locked(self) -> bool:
        """Whether a runner holds the lock."""
        return files.lock_is_held(self.dir)

    @property
    def runner(self) -> int:
        """The recorded pid of the runner."""
        return runner_of(self.dir)

    @property
    def cgroup(self) -> Path | None:
        """The cgroup that the runner created."""
        path = json.loads((self.dir / files.RUNNER_FILE).read_text())["cgroup"]
        return None if path is None else Path(path)

    @property
    def harness_processes(self) -> list[int]:
        """The running processes of the harness, whatever their parents are."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK) == str(self.dir)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if marked and is_running(process.pid):
                found.append(process.pid)
        return found

    async def clean_up(self) -> None:
        """Kill all processes that a test left."""
        for process in self._in_foreground:
            process.kill()
            process.wait()
        if self.is_locked:
            os.kill(self.runner, signal.SIGKILL)
        while left := self.harness_processes:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        for cgroup in cgroups.possible_cgroups(self.dir):
            cgroup.remove()


async def exit_code(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of a runner."""
    return await asyncio.to_thread(process.wait, WAIT_SECONDS)
