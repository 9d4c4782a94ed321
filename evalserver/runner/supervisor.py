"""Supervises one attempt of a job, from its run directory (``files.py``).

An attempt is started at most once: if ``runner.json`` exists, a second runner exits.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from evalserver.runner.cgroups import Cgroup, make_cgroup
from evalserver.runner.crash_point import crash_point
from evalserver.runner.files import (
    CANCEL_FILE,
    EXHAUSTION_ERRORS,
    EXIT_FILE,
    LOCK_BUSY,
    LOCK_FILE,
    LOG_FILE,
    RESOURCES_EXHAUSTED,
    RUNNER_FILE,
    STARTED_BEFORE,
    Exit,
    boot_id,
    write_atomically,
)
from evalserver.runner.launch_spec import LaunchSpec, read_launch_spec
from evalserver.runner.memory_limit import limit_memory
from evalserver.runner.out_of_memory import OutOfMemoryRecord
from evalserver.runner.output import MaskedLog
from evalserver.runner.process_record import ProcessRecorder
from evalserver.runner.processes import Processes, become_subreaper, exit_code, harness_setup
from evalserver.runner.watch import WAKE_SIGNALS, Watch

MAX_LOCK_SECONDS = 2.0
LEFTOVER_GRACE_SECONDS = 5.0
WRITE_RETRY_SECONDS = 1.0
SHELL_NOT_FOUND = 127
EVALUATING = "evaluating"
"""The name of the last stage in the log, if there are others before it."""


def main(run_dir: Path) -> int:
    """Start the runner in the background. Returns an exit code once it supervises, or cannot."""
    try:
        lock = _take_lock(run_dir)
    except OSError as error:
        if error.errno not in EXHAUSTION_ERRORS:
            raise
        return RESOURCES_EXHAUSTED
    if lock is None:
        return LOCK_BUSY
    if (run_dir / RUNNER_FILE).exists():
        return STARTED_BEFORE
    ready, report = os.pipe()
    if os.fork() > 0:
        os.close(report)
        crash_point("runner_forked")
        code = os.read(ready, 1)
        return code[0] if code else 1
    os.close(ready)
    os.setsid()
    _supervise(run_dir, report)
    os._exit(0)


def _take_lock(run_dir: Path) -> int | None:
    descriptor = os.open(run_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + MAX_LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            # The server may hold it for a moment, to check whether a runner is alive.
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)


def _supervise(run_dir: Path, report: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKE_SIGNALS)
    become_subreaper()
    started_at = _now()
    crash_point("runner_locked")
    cgroup = make_cgroup(run_dir)
    started = {
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "started_at": started_at,
        "cgroup": None if cgroup is None else str(cgroup.path),
    }
    try:
        write_atomically(run_dir / RUNNER_FILE, started)
    except OSError as error:
        if cgroup is not None:
            cgroup.remove()
        if error.errno not in EXHAUSTION_ERRORS:
            raise
        _report_start(report, RESOURCES_EXHAUSTED)
        return
    crash_point("runner_started")
    _report_start(report, 0)
    os.close(report)
    end = _run(run_dir, cgroup, started_at)
    if cgroup is not None:
        cgroup.remove()
    crash_point("runner_ending")
    _write_exit(run_dir / EXIT_FILE, end)


def _report_start(report: int, code: int) -> None:
    # The process that reads it may have been killed. The runner continues without it.
    with suppress(BrokenPipeError):
        os.write(report, bytes([code]))


def _write_exit(path: Path, end: Exit) -> None:
    """Write ``exit.json``, and try again for as long as the disk is full."""
    while path.parent.is_dir():
        try:
            write_atomically(path, asdict(end))
            return
        except OSError:
            # Not logged: the runner's own log is on the same disk.
            time.sleep(WRITE_RETRY_SECONDS)


def _run(run_dir: Path, cgroup: Cgroup | None, started_at: str) -> Exit:
    try:
        spec = read_launch_spec(run_dir)
        if os.path.lexists(run_dir / CANCEL_FILE):
            return Exit("cancelled", None, started_at, _now())
        log = MaskedLog(run_dir / LOG_FILE, spec.secrets)
    except (OSError, ValueError) as error:
        return _not_started(error, started_at)
    limited = (
        None if spec.memory_bytes is None else limit_memory(cgroup, run_dir, spec.memory_bytes)
    )
    with log:
        end = _run_stages(spec, log, cgroup, limited, started_at)
    if limited is not None and limited is not cgroup:
        limited.remove()
    return end


def _run_stages(
    spec: LaunchSpec,
    log: MaskedLog,
    cgroup: Cgroup | None,
    limited: Cgroup | None,
    started_at: str,
) -> Exit:
    """Run the earlier stages and then the harness; end at the first that does not succeed.

    ``limited`` is the cgroup that limits their memory.
    """
    cgroups = list(dict.fromkeys(each for each in (cgroup, limited) if each is not None))
    processes = Processes(cgroup)
    recorder = ProcessRecorder(spec.run_dir, os.fstat(log.writer).st_ino)
    out_of_memory = OutOfMemoryRecord(cgroups, None if limited is None else spec.memory_bytes)
    watch = Watch(spec, processes, recorder)
    stages = [*spec.before.items(), (None, spec.command.argv)]
    leftovers = 0
    for number, (stage, argv) in enumerate(stages):
        try:
            if spec.before:
                os.write(log.writer, f"evalserver: {stage or EVALUATING}\n".encode())
            process = _start(spec, argv, log.writer, cgroups)
            recorder.pids.add(process)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            out_of_memory.close()
            return _not_started(error, started_at, stage)
        if number == 0:
            log.start()
        if stage is None:
            log.close_writer()
        reason, status = watch.wait(process)
        leftovers += processes.end(min(spec.grace_s, LEFTOVER_GRACE_SECONDS))
        if stage is not None and reason == "exited":
            reason = watch.stop_reason() or reason
        if reason != "exited" or status != 0:
            break
        if stage is not None:
            crash_point("stage_ended")
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    recorded = out_of_memory.describe(recorder.pids, killed)
    out_of_memory.close()
    return Exit(
        reason,
        exit_code(status),
        started_at,
        _now(),
        leftovers,
        stage=stage,
        out_of_memory=recorded,
    )


def _not_started(error: Exception, started_at: str, stage: str | None = None) -> Exit:
    return Exit("not_started", SHELL_NOT_FOUND, started_at, _now(), error=str(error), stage=stage)


def _start(spec: LaunchSpec, argv: tuple[str, ...], output: int, cgroups: list[Cgroup]) -> int:
    process = subprocess.Popen(  # noqa: S603 - the command line was built as a list
        argv,
        cwd=spec.cwd,
        env=spec.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=harness_setup(cgroups),
    )
    # It is reaped by waitpid, like every other descendant, and not by subprocess.
    process.returncode = 0
    return process.pid


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
