"""Writing a run directory, and starting the runner for it."""

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evalserver.executors.base import ExecutorError, ResourcesExhausted
from evalserver.runner import cgroups, crash_point, files
from evalserver.runner.launch_spec import ColdStart, LaunchSpec
from evalserver.runner.memory_limit import CHECK_OPTION

RUNNER_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    crash_point.VARIABLE,
    crash_point.STOP_VARIABLE,
    cgroups.VARIABLE,
)
"""The variables of the server's environment that a runner gets."""

MAX_CHECK_SECONDS = 10.0

OWN_FILE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW_FILE = OWN_FILE | os.O_EXCL


def prepare_start(spec: LaunchSpec, cold: ColdStart | None) -> None:
    """Write the run directory, with how the attempt is started; None: warm.

    Raises ExecutorError or ResourcesExhausted.
    """
    with translate_errors(spec.run_dir):
        prepare(spec)
    record_start(spec.run_dir, cold)


def record_start(run_dir: Path, cold: ColdStart | None) -> None:
    """Write how an attempt is started, unless it was started before; None: warm.

    Raises ExecutorError or ResourcesExhausted.
    """
    with translate_errors(run_dir):
        if not has_trace_of_runner(run_dir):
            files.write_start(run_dir, None if cold is None else cold.why)


def has_trace_of_runner(run_dir: Path) -> bool:
    """Return whether a runner was started in a run directory, or holds its lock. Raises OSError."""
    return (run_dir / files.RUNNER_FILE).exists() or files.lock_is_held(run_dir)


def can_limit_memory() -> bool:
    """Return whether runners that this process starts can limit the memory of attempts."""
    command = [sys.executable, "-I", "-S", str(files.PROGRAM), CHECK_OPTION]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, env=runner_environment(), check=False, timeout=MAX_CHECK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def runner_environment() -> dict[str, str]:
    """Return the environment of a runner."""
    return {name: os.environ[name] for name in RUNNER_VARIABLES if name in os.environ}


@contextmanager
def translate_errors(run_dir: Path) -> Iterator[None]:
    """Raise ExecutorError, or ResourcesExhausted, for an OSError of preparing a run directory."""
    try:
        yield
    except OSError as error:
        kind = ResourcesExhausted if error.errno in files.EXHAUSTION_ERRORS else ExecutorError
        raise kind(f"cannot prepare {error.filename or run_dir}: {error.strerror}") from error


def request_cancel(run_dir: Path) -> None:
    """Write the file that the runner checks for several times a second. Raises OSError."""
    run_dir.mkdir(parents=True, exist_ok=True)
    # Whatever a harness created under that name has the same effect.
    with suppress(FileExistsError):
        os.close(os.open(run_dir / files.CANCEL_FILE, NEW_FILE, 0o600))


def prepare(spec: LaunchSpec) -> None:
    """Create the directories and files that the runner and the command need. Raises OSError."""
    spec.run_dir.mkdir(parents=True, exist_ok=True)
    for directory in spec.command.directories:
        directory.mkdir(parents=True, exist_ok=True)
    for name, text in spec.command.files.items():
        _write_private(spec.run_dir / name, text)
    _write_private(spec.run_dir / files.JOB_FILE, spec.to_json())


def _write_private(path: Path, text: str) -> None:
    # Arguments and environments contain keys: only the owner may read them.
    descriptor = _open_own(path, os.O_TRUNC)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _open_own(path: Path, flags: int) -> int:
    """Open a file in a run directory, where an earlier attempt may have left something else."""
    descriptor = os.open(path, OWN_FILE | flags, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, "it exists and is not a regular file", str(path))
    return descriptor


def start_cold(run_dir: Path, max_start_s: float) -> int:
    """Run the runner's program, which moves into the background.

    Returns its exit code; -SIGKILL if it took more than ``max_start_s`` seconds. Raises
    ExecutorError or ResourcesExhausted if its log cannot be opened.
    """
    with translate_errors(run_dir):
        return _run_program(run_dir, max_start_s)


def _run_program(run_dir: Path, max_start_s: float) -> int:
    descriptor = _open_own(run_dir / files.RUNNER_LOG_FILE, os.O_APPEND)
    with os.fdopen(descriptor, "ab") as runner_log:
        process = subprocess.Popen(  # noqa: S603 - our own program, with a path of our own making
            [sys.executable, "-I", "-S", str(files.PROGRAM), str(run_dir)],
            # Every process of the same user can read it, the harness among them.
            env=runner_environment(),
            stdin=subprocess.DEVNULL,
            stdout=runner_log,
            stderr=runner_log,
            start_new_session=True,
        )
        # One that was stopped, or waits for a disk. A limit of ``wait`` would have it look for the
        # end only every 50 ms.
        limit = threading.Timer(max_start_s, process.kill)
        limit.daemon = True
        limit.start()
        try:
            return process.wait()
        finally:
            limit.cancel()
