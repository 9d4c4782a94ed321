"""Killing the remaining processes of an attempt whose runner was killed: those in its cgroup, and
those that ``traces.py`` finds."""

import signal
import time
from pathlib import Path

import structlog

from evalserver.executors.base import KilledOrphans
from evalserver.executors.run_files import boot_id_of, cgroup_of
from evalserver.executors.traces import Traces
from evalserver.runner import files
from evalserver.runner.cgroups import Cgroup, cgroup_name, memory_cgroup, possible_cgroups
from evalserver.runner.procfs import Process, send_signal

log = structlog.get_logger("evalserver.executors")

POLL_SECONDS = 0.05
WARN_SECONDS = 10.0
MAX_STOP_PASSES = 100
MAY_HAVE_ESCAPED = (
    "its processes were in no cgroup, so one may be left that changed its environment, session,"
    " parent and output, or that did so within a second of its start"
)


def kill_orphans(run_dir: Path, token: str) -> KilledOrphans:
    """Kill the remaining processes of the attempt, until none can be found."""
    cgroups = _find_cgroups(run_dir)
    traces = Traces(run_dir, token)
    killed: set[int] = set()
    warn_at = time.monotonic() + WARN_SECONDS
    while found := {*_kill_cgroups(cgroups), *_kill_traced(traces)}:
        killed |= found
        if time.monotonic() > warn_at:
            log.warning("processes that were killed have not ended yet", pids=sorted(found)[:10])
            warn_at += WARN_SECONDS
        time.sleep(POLL_SECONDS)
    # The one that limits memory may have no processes by now.
    for cgroup in (*cgroups, *filter(None, [memory_cgroup(run_dir)])):
        cgroup.remove()
    is_certain = bool(cgroups) or _is_harness_gone(run_dir)
    return KilledOrphans(len(killed), None if is_certain else MAY_HAVE_ESCAPED)


def _find_cgroups(run_dir: Path) -> list[Cgroup]:
    """Return the existing cgroups that may be the attempt's: the recorded one, and where this
    process would make one."""
    recorded = cgroup_of(run_dir)
    found = [cgroup for cgroup in possible_cgroups(run_dir) if cgroup.path.is_dir()]
    # A harness can change the record: only a cgroup with the attempt's name is ever killed.
    if recorded is not None and recorded.name == cgroup_name(run_dir):
        found.append(Cgroup(recorded))
    return found


def _is_harness_gone(run_dir: Path) -> bool:
    """Return whether the harness was never started, or the machine was restarted since."""
    if not (run_dir / files.LOCK_FILE).exists():
        return False
    if not (run_dir / files.RUNNER_FILE).exists():
        return True
    return boot_id_of(run_dir) not in (None, files.boot_id())


def _kill_cgroups(cgroups: list[Cgroup]) -> list[int]:
    return [pid for cgroup in cgroups for pid in cgroup.kill()]


def _kill_traced(traces: Traces) -> list[int]:
    """Stop all processes that can be found, until there is no new one, and then kill them."""
    stopped: set[Process] = set()
    for _ in range(MAX_STOP_PASSES):
        known = {(each.pid, each.started) for each in stopped}
        new = [each for each in traces.find() if (each.pid, each.started) not in known]
        if not new:
            break
        for process in new:
            send_signal(process, signal.SIGSTOP)
        stopped.update(new)
    for process in stopped:
        send_signal(process, signal.SIGKILL)
    return [process.pid for process in stopped]
