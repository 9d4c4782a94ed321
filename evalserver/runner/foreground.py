"""The runner on a node of a cluster: the cluster starts it, and takes its end for the job's.

The cluster may start it twice, on two nodes, and locks may not reach from one to the other. The
first one creates the start lock, and the second one ends without touching anything. The cluster
lists the processes of its job itself, so they are not moved into a cgroup of our own: there, it
might neither count nor end them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from evalserver.runner.attempt import load_spec, now, run_attempt, write_exit
from evalserver.runner.crash_point import crash_point
from evalserver.runner.files import (
    EXHAUSTION_ERRORS,
    RESOURCES_EXHAUSTED,
    RUNNER_FILE,
    STARTED_ELSEWHERE,
    Exit,
    boot_id,
    take_start_lock,
    write_atomically,
)
from evalserver.runner.heartbeat import Heartbeat, boot_seconds
from evalserver.runner.launch_spec import GPU_VARIABLES, LaunchSpec
from evalserver.runner.processes import SIGNAL_BASE, become_subreaper
from evalserver.runner.watch import WAKE_SIGNALS
from evalserver.runner.written_files import record_written_files

FOREGROUND_OPTION = "--foreground"
"""With it, the runner's program runs an attempt to its end and ends with its exit code."""

JOB_ID_VARIABLE = "SLURM_JOB_ID"
NODE_VARIABLE = "SLURMD_NODENAME"


def run_in_foreground(run_dir: Path) -> int:
    """Run an attempt to its end, and return the exit code for the cluster: the harness's own, but
    not 0 if it was stopped. ``exit.json`` says more."""
    begun = boot_seconds()
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKE_SIGNALS)
    become_subreaper()
    started_at = now()
    try:
        if not take_start_lock(run_dir):
            return STARTED_ELSEWHERE
        crash_point("runner_locked")
        write_atomically(run_dir / RUNNER_FILE, _description(started_at))
    except OSError as error:
        if error.errno not in EXHAUSTION_ERRORS:
            raise
        return RESOURCES_EXHAUSTED
    crash_point("runner_started")
    spec = load_spec(run_dir, started_at)
    end = spec if isinstance(spec, Exit) else _run(spec, started_at, begun)
    if isinstance(spec, LaunchSpec) and spec.output_dir is not None:
        record_written_files(run_dir, spec.output_dir)
    crash_point("runner_ending")
    write_exit(run_dir, end)
    return _exit_code(end)


def _description(started_at: str) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "started_at": started_at,
        "cgroup": None,
        "host": os.environ.get(NODE_VARIABLE) or os.uname().nodename,
        "slurm_job_id": os.environ.get(JOB_ID_VARIABLE) or None,
    }


def _run(spec: LaunchSpec, started_at: str, begun: float) -> Exit:
    spec = replace(spec, env={**gpu_variables(os.environ), **spec.env})
    silence = spec.max_silence_s
    with nullcontext() if silence is None else Heartbeat(spec.run_dir, silence, begun):
        return run_attempt(spec, None, started_at)


def gpu_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which the cluster says which GPUs the job has."""
    return {name: environment[name] for name in GPU_VARIABLES if name in environment}


def _exit_code(end: Exit) -> int:
    if end.reason == "exited":
        return end.exit_code or 0
    # The cluster takes 0 for success.
    return end.exit_code or SIGNAL_BASE + signal.SIGTERM
