"""The warm parent: imports a harness, and forks a runner for each attempt that it is told to start.

It never computes, starts no thread and never touches a GPU: a child could not do so afterwards.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from evalserver.runner import files, supervisor
from evalserver.runner.procfs import children
from evalserver.runner.warm import ending, fingerprint, in_place
from evalserver.runner.warm.dependencies import ChangedMeanwhile, Dependencies
from evalserver.runner.warm.harness_start import ForkedStart
from evalserver.runner.warm.identity import Identity, NoIdentity
from evalserver.runner.warm.loading import (
    Unusable,
    environment_change,
    forget_modules_of,
    initial_environment,
    installed_version,
    load_program,
    require_no_thread,
    require_nothing_left_open,
)
from evalserver.runner.warm.probe import fault_of_forks
from evalserver.runner.warm.randomness import Randomness
from evalserver.runner.warm.refusal import Refused, require_suitable

MAX_GROWTH_BYTES = 64 << 20
"""By how much a parent may grow after its imports: it has no reason to."""
RUNNER_LOG = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
)  # fmt: skip


class Parent:
    """A process that has imported a harness.

    ``preload`` is a program with the harness's import name (``PACKAGE``), the name of its
    distribution (``DISTRIBUTION``) and a function ``preload(include_path)``, which imports it and
    may remember what later runs look for.

    Raises Unusable.
    """

    def __init__(self, preload: Path, include_path: str, connection: int) -> None:
        self._begun = time.monotonic()
        self._python = os.fsdecode(Path("/proc/self/cmdline").read_bytes().partition(b"\0")[0])
        self._environment = initial_environment()
        try:
            self._identity = Identity()
            in_place.make_streams_for_a_pipe()
            program = load_program(preload)
            if importlib.util.find_spec(program.PACKAGE) is None:
                raise Unusable(f"{self._python} has no {program.PACKAGE}")
            self._dependencies = Dependencies(program.PACKAGE, include_path)
            randomness = Randomness()
            program.preload(include_path)
            randomness.imported()
            self.num_files = self._dependencies.remember()
        except (NoIdentity, ChangedMeanwhile, fingerprint.TooManyFiles) as error:
            raise Unusable(str(error)) from error
        except Exception as error:
            traceback.print_exc()
            raise Unusable(f"{preload.name} failed: {error!r}") from error
        forget_modules_of(preload.parent)
        change = environment_change(self._environment)
        self._start = ForkedStart(self._identity, change, randomness, ending.libraries())
        self.version = installed_version(program.DISTRIBUTION)
        require_nothing_left_open({connection})
        gc.collect()
        gc.freeze()
        fault = fault_of_forks()
        if fault is not None:
            raise Unusable(fault)
        require_no_thread()
        self.num_threads = _num_threads()
        self._resident = _resident_bytes()
        self._runners: set[int] = set()
        self._require_nothing_started()
        # Runners are children, and the kernel reaps them then. They get the handler from before.
        self._on_child = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if self._on_child is None:
            raise Unusable("importing the harness handles SIGCHLD in C")

    def ready_message(self) -> dict[str, Any]:
        """Return what the server is told when the parent is ready."""
        begun = time.monotonic()
        change = self._dependencies.find_change()
        if change is not None:
            raise Unusable(change)
        return {
            "ready": True,
            "seconds": round(time.monotonic() - self._begun, 3),
            "files": self.num_files,
            "threads": self.num_threads,
            "fingerprint_ms": _ms_since(begun),
            "harness": self.version,
        }

    def start(self, run_dir: Path, runner_environment: Mapping[str, str]) -> dict[str, Any]:
        """Start the attempt of a run directory; return the answer for the server.

        Raises Refused.
        """
        begun = time.monotonic()
        self._require_unchanged()
        fingerprint_ms = _ms_since(begun)
        require_suitable(run_dir, self._python, self._environment, self._identity)
        begun = time.monotonic()
        ready, report = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(ready)
            os.close(report)
            raise Refused(f"the fork failed: {error}") from error
        if pid == 0:
            self._become_runner(run_dir, runner_environment, report)
        self._runners.add(pid)
        os.close(report)
        fork_ms = _ms_since(begun)
        code = supervisor.read_code(ready)
        return {"code": code, "fork_ms": fork_ms, "fingerprint_ms": fingerprint_ms}

    def _require_unchanged(self) -> None:
        change = self._dependencies.find_change()
        if change is not None:
            raise Refused(change)
        threads = _num_threads()
        if threads != self.num_threads:
            raise Refused(f"the parent has {threads} threads, and had {self.num_threads}")
        resident = _resident_bytes()
        if resident > self._resident + MAX_GROWTH_BYTES:
            raise Refused(f"the parent grew from {self._resident} to {resident} bytes")
        try:
            self._require_nothing_started()
        except Unusable as error:
            raise Refused(str(error)) from error

    def _require_nothing_started(self) -> None:
        started = set(children(os.getpid()))
        self._runners &= started
        if started != self._runners:
            raise Unusable("importing the harness started a process")
        torch: Any = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            raise Unusable("the parent uses a GPU")

    def _become_runner(
        self, run_dir: Path, environment: Mapping[str, str], report: int
    ) -> NoReturn:
        """Become the runner that ``runner/__main__.py`` would leave in the background."""
        try:
            self._prepare_runner(run_dir, environment, report)
            supervisor.run_forked(run_dir, report, self._start)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def _prepare_runner(self, run_dir: Path, environment: Mapping[str, str], report: int) -> None:
        signal.signal(signal.SIGCHLD, self._on_child)
        os.setsid()
        try:
            null = os.open(os.devnull, os.O_RDONLY)
            log = os.open(run_dir / files.RUNNER_LOG_FILE, RUNNER_LOG, 0o600)
        except OSError as error:
            if error.errno in files.EXHAUSTION_ERRORS:
                supervisor.report_code(report, files.RESOURCES_EXHAUSTED)
            raise
        for descriptor, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, descriptor)
        in_place.close_descriptors({report})
        in_place.replace_environment(
            {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        )
        program = (self._python, "-I", "-S", str(files.PROGRAM), str(run_dir))
        self._identity.show_arguments(program)
        self._identity.show_variables({})


def _num_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are all it takes


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _ms_since(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 1)
