"""Ending what is left of an attempt whose runner was killed: by its cgroup, and by other signs."""

import signal
import time
from pathlib import Path

import structlog

from evalserver.executors.base import Strays
from evalserver.executors.run_files import boot_id_of, cgroup_of
from evalserver.executors.signs import Signs
from evalserver.runner import files
from evalserver.runner.cgroups import Cgroup, cgroup_name, possible_cgroups
from evalserver.runner.procfs import Process, send_signal

log = structlog.get_logger("evalserver.executors")

POLL_SECONDS = 0.05
COMPLAINT_SECONDS = 10.0
MAX_STOP_PASSES = 100
IN_DOUBT = (
    "its processes were in no cgroup, so one may be left that took off its mark, session, parent"
    " and output, or that did so within a second of its start"
)


def end_strays(run_dir: Path, token: str) -> Strays:
    """Kill what is left of the attempt, until nothing of it can be found."""
    cgroups = _cgroups(run_dir)
    signs = Signs(run_dir, token)
    ended: set[int] = set()
    complain_at = time.monotonic() + COMPLAINT_SECONDS
    while found := {*_kill_in(cgroups), *_kill_signed(signs)}:
        ended |= found
        if time.monotonic() > complain_at:
            log.warning("processes that were killed have not ended yet", pids=sorted(found)[:10])
            complain_at += COMPLAINT_SECONDS
        time.sleep(POLL_SECONDS)
    for cgroup in cgroups:
        cgroup.remove()
    return Strays(len(ended), None if cgroups or _ran_nothing(run_dir) else IN_DOUBT)


def _cgroups(run_dir: Path) -> list[Cgroup]:
    """Those that may be the attempt's: as its runner wrote down, and where ours would be made."""
    recorded = cgroup_of(run_dir)
    found = [cgroup for cgroup in possible_cgroups(run_dir) if cgroup.path.is_dir()]
    # A harness can write there, too: no other cgroup than the attempt's is ever killed.
    if recorded is not None and recorded.name == cgroup_name(run_dir):
        found.append(Cgroup(recorded))
    return found


def _ran_nothing(run_dir: Path) -> bool:
    """Was no harness started, or did none of it survive a restart of the machine?"""
    if not (run_dir / files.LOCK_FILE).exists():
        return False
    if not (run_dir / files.RUNNER_FILE).exists():
        return True
    return boot_id_of(run_dir) not in (None, files.boot_id())


def _kill_in(cgroups: list[Cgroup]) -> list[int]:
    return [pid for cgroup in cgroups for pid in cgroup.kill()]


def _kill_signed(signs: Signs) -> list[int]:
    """Stop all that can be found, look again until there is no new one, and kill them then."""
    stopped: set[Process] = set()
    for _ in range(MAX_STOP_PASSES):
        known = {(each.pid, each.started) for each in stopped}
        new = [each for each in signs.find() if (each.pid, each.started) not in known]
        if not new:
            break
        for process in new:
            send_signal(process, signal.SIGSTOP)
        stopped.update(new)
    for process in stopped:
        send_signal(process, signal.SIGKILL)
    return [process.pid for process in stopped]
