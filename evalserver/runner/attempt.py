"""One attempt from its start to its end: the stages of ``job.json``, and the record of the end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from evalserver.runner.cgroups import Cgroup
from evalserver.runner.crash_point import crash_point
from evalserver.runner.files import EXIT_FILE, LOG_FILE, Exit, write_atomically
from evalserver.runner.hang import HANG_SECONDS
from evalserver.runner.launch_spec import LaunchSpec, read_launch_spec
from evalserver.runner.memory_limit import limit_memory
from evalserver.runner.out_of_memory import OutOfMemoryRecord
from evalserver.runner.output import MaskedLog
from evalserver.runner.process_record import ProcessRecorder
from evalserver.runner.processes import Processes, exit_code
from evalserver.runner.stage_start import HUNG_FORK, StageStarter, WarmStart
from evalserver.runner.watch import HUNG, Watch, cancel_was_requested

LEFTOVER_GRACE_SECONDS = 5.0
WRITE_RETRY_SECONDS = 1.0
SHELL_NOT_FOUND = 127
EVALUATING = "evaluating"
"""The name of the last stage in the log, if there are others before it."""


def load_spec(run_dir: Path, started_at: str) -> LaunchSpec | Exit:
    """Return what to run; how the attempt ended, if that cannot be read."""
    try:
        return read_launch_spec(run_dir)
    except (OSError, ValueError) as error:
        return _not_started(error, started_at)


def run_attempt(
    spec: LaunchSpec,
    cgroup: Cgroup | None,
    started_at: str,
    warm: WarmStart | None = None,
    hang_s: float = HANG_SECONDS,
) -> Exit:
    """Run an attempt to its end, and return how it ended.

    ``warm`` starts its harness, if given. If that hangs for ``hang_s`` seconds, it is started cold.
    """
    run_dir = spec.run_dir
    if cancel_was_requested(run_dir):
        return Exit("cancelled", None, started_at, now())
    try:
        log = MaskedLog(run_dir / LOG_FILE, spec.secrets)
    except OSError as error:
        return _not_started(error, started_at)
    limited = (
        None if spec.memory_bytes is None else limit_memory(cgroup, run_dir, spec.memory_bytes)
    )
    with log:
        end = _run_stages(spec, log, cgroup, limited, started_at, warm, hang_s)
    if limited is not None and limited is not cgroup:
        limited.remove()
    return end


def write_exit(run_dir: Path, end: Exit) -> None:
    """Write ``exit.json``, and try again for as long as the disk is full."""
    while run_dir.is_dir():
        try:
            write_atomically(run_dir / EXIT_FILE, asdict(end))
            return
        except OSError:
            # Not logged: the runner's own log is on the same disk.
            time.sleep(WRITE_RETRY_SECONDS)


def _run_stages(
    spec: LaunchSpec,
    log: MaskedLog,
    cgroup: Cgroup | None,
    limited: Cgroup | None,
    started_at: str,
    warm: WarmStart | None,
    hang_s: float,
) -> Exit:
    """Run the earlier stages and then the harness; end at the first that does not succeed.

    ``limited`` is the cgroup that limits their memory.
    """
    cgroups = list(dict.fromkeys(each for each in (cgroup, limited) if each is not None))
    processes = Processes(cgroup)
    recorder = ProcessRecorder(spec.run_dir, os.fstat(log.writer).st_ino)
    out_of_memory = OutOfMemoryRecord(cgroups, None if limited is None else spec.memory_bytes)
    watch = Watch(spec, processes, recorder)
    starter = StageStarter(spec, log, cgroups, warm, hang_s)
    stages: deque[tuple[str | None, tuple[str, ...]]] = deque(spec.before.items())
    stages.append((None, spec.command.argv))
    leftovers = 0
    while stages:
        stage, argv = stages.popleft()
        try:
            if spec.before:
                os.write(log.writer, f"evalserver: {stage or EVALUATING}\n".encode())
            process, guard = starter.start(argv, is_last=stage is None)
            recorder.pids.add(process)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            out_of_memory.close()
            return _not_started(error, started_at, stage)
        log.start()
        if stage is None and guard is None:
            log.close_writer()
        reason, status = watch.wait(process, guard)
        if reason == HUNG:
            starter.start_cold_from_now_on(HUNG_FORK)
            stages.appendleft((stage, argv))
            continue
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
        now(),
        leftovers,
        stage=stage,
        out_of_memory=recorded,
    )


def _not_started(error: Exception, started_at: str, stage: str | None = None) -> Exit:
    return Exit("not_started", SHELL_NOT_FOUND, started_at, now(), error=str(error), stage=stage)


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
