"""The warm parent: imports a harness, and forks a runner for each attempt that it is told to start.

It never computes, starts no thread and never touches a GPU: a child could not do so afterwards.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from evalserver.runner import files, supervisor
from evalserver.runner.launch_spec import LaunchSpec, read_launch_spec
from evalserver.runner.warm import fingerprint, in_place
from evalserver.runner.warm.dependencies import ChangedMeanwhile, Dependencies
from evalserver.runner.warm.harness_start import EnvironmentChange, ForkedStart, per_attempt
from evalserver.runner.warm.identity import Identity, NoIdentity
from evalserver.runner.warm.probe import fault_of_forks

MAX_GROWTH = 1.25
MAX_GROWTH_BYTES = 64 << 20
RUNNER_LOG = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
)  # fmt: skip
UNUSABLE_VARIABLES = ("PYTHONSAFEPATH", "PYTHONINSPECT", "PYTHONPROFILEIMPORTTIME")
"""With these, a new interpreter does what a forked process does not."""


class Unusable(Exception):
    """This process cannot become a parent; says why."""


class Refused(Exception):
    """An attempt cannot be started by this parent; says why."""


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
        self._environment = _initial_environment()
        try:
            self._identity = Identity()
            in_place.make_streams_for_a_pipe()
            program = _load(preload)
            if importlib.util.find_spec(program.PACKAGE) is None:
                raise Unusable(f"{self._python} has no {program.PACKAGE}")
            self._dependencies = Dependencies(program.PACKAGE, include_path)
            program.preload(include_path)
            self.num_files = self._dependencies.remember()
        except (NoIdentity, ChangedMeanwhile, fingerprint.TooManyFiles) as error:
            raise Unusable(str(error)) from error
        except Exception as error:
            traceback.print_exc()
            raise Unusable(f"{preload.name} failed: {error!r}") from error
        self._change = _environment_change(self._environment)
        self.version = _version(program.DISTRIBUTION)
        _require_nothing_left_open({connection})
        gc.collect()
        gc.freeze()
        fault = fault_of_forks()
        if fault is not None:
            raise Unusable(fault)
        self.num_threads = _num_threads()
        self._resident = _resident_bytes()
        self._require_nothing_started()

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
        self._require_suitable(run_dir)
        begun = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            raise Refused(f"the fork failed: {error}") from error
        if pid == 0:
            self._become_runner(run_dir, runner_environment)
        fork_ms = _ms_since(begun)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "fork_ms": fork_ms, "fingerprint_ms": fingerprint_ms}

    def _require_unchanged(self) -> None:
        change = self._dependencies.find_change()
        if change is not None:
            raise Refused(change)
        threads = _num_threads()
        if threads != self.num_threads:
            raise Refused(f"the parent has {threads} threads, and had {self.num_threads}")
        resident = _resident_bytes()
        if resident > self._resident * MAX_GROWTH + MAX_GROWTH_BYTES:
            raise Refused(f"the parent grew from {self._resident} to {resident} bytes")
        try:
            self._require_nothing_started()
        except Unusable as error:
            raise Refused(str(error)) from error

    def _require_nothing_started(self) -> None:
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
            raise Unusable("importing the harness started a process")
        torch: Any = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            raise Unusable("the parent uses a GPU")

    def _require_suitable(self, run_dir: Path) -> None:
        try:
            spec = read_launch_spec(run_dir)
        except (OSError, ValueError) as error:
            raise Refused(f"{files.JOB_FILE} cannot be read: {error}") from error
        argv = spec.command.argv
        if spec.before:
            raise Refused("the attempt has an earlier stage")
        if len(argv) < 2 or argv[0] != self._python:
            raise Refused("the attempt has another interpreter")
        if not Path(argv[1]).is_absolute() or not Path(argv[1]).is_file():
            raise Refused("the command line does not begin with a script")
        variables = per_attempt(spec.environment)
        shared = {name: spec.environment[name] for name in spec.environment.keys() - variables}
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in shared.items()}
        if encoded != self._environment:
            raise Refused("the attempt has another environment")
        if not self._identity.has_room_for(variables):
            raise Refused("the path of the run directory is too long")
        _require_same_modules(spec)

    def _become_runner(self, run_dir: Path, environment: Mapping[str, str]) -> NoReturn:
        """Become the program that starts a runner, as ``runner/__main__.py`` is."""
        code = 1
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            log = os.open(run_dir / files.RUNNER_LOG_FILE, RUNNER_LOG, 0o600)
            for descriptor, source in ((0, null), (1, log), (2, log)):
                os.dup2(source, descriptor)
            in_place.close_descriptors(set())
            in_place.replace_environment(
                {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
            )
            program = (self._python, "-I", "-S", str(files.PROGRAM), str(run_dir))
            self._identity.show_arguments(program)
            self._identity.show_variables({})
            code = supervisor.main(run_dir, ForkedStart(self._identity, self._change))
        except BaseException as error:
            traceback.print_exc()
            if isinstance(error, OSError) and error.errno in files.EXHAUSTION_ERRORS:
                code = files.RESOURCES_EXHAUSTED
        finally:
            os._exit(code)


def _load(preload: Path) -> Any:
    """Load the program as an interpreter would, with nothing of ours among the modules."""
    sys.path[0] = str(preload.parent)
    sys.argv = [str(preload)]
    in_place.new_main(str(preload))
    for name in [each for each in sys.modules if each.partition(".")[0] == "evalserver"]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("evalserver_preload", preload)
    if spec is None or spec.loader is None:
        raise Unusable(f"{preload} is no Python program")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def _initial_environment() -> dict[bytes, bytes]:
    """Return the environment that this process was started with, but for the padding."""
    found = {}
    for line in Path("/proc/self/environ").read_bytes().split(b"\0"):
        name, is_variable, value = line.partition(b"=")
        if is_variable:
            found[name] = value
    for padded in per_attempt({os.fsdecode(each): "" for each in found}):
        del found[os.fsencode(padded)]
        os.environ.pop(padded, None)
    unusable = [each for each in UNUSABLE_VARIABLES if found.get(each.encode())]
    if unusable:
        raise Unusable(f"{unusable[0]} is set")
    return found


def _environment_change(initial: Mapping[bytes, bytes]) -> EnvironmentChange:
    now = dict(os.environb)
    if per_attempt({os.fsdecode(name): "" for name in now}):
        raise Unusable("importing the harness sets a variable of the attempt")
    return EnvironmentChange(
        {name: value for name, value in now.items() if initial.get(name) != value},
        frozenset(initial.keys() - now.keys()),
    )


def _require_same_modules(spec: LaunchSpec) -> None:
    """Modules of the working directory come first, if the harness looks for them there."""
    own = Path.cwd()
    try:
        is_same = own.samefile(spec.cwd)
    except OSError as error:
        raise Refused(f"the working directory cannot be used: {error}") from error
    if is_same or not sys.path[0] or sys.path[0] != str(own):
        return
    if fingerprint.names(str(own)) or fingerprint.names(str(spec.cwd)):
        raise Refused("the attempt has another working directory, with modules in one of them")


def _require_nothing_left_open(known: set[int]) -> None:
    for name in sorted(os.listdir("/proc/self/fd"), key=int):  # noqa: PTH208 - names are enough
        if int(name) > 2 and int(name) not in known:
            with suppress(OSError):  # the one of the directory itself
                target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - it may be no path
                raise Unusable(f"importing the harness left {target} open")


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _num_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are all it takes


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _ms_since(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 1)
