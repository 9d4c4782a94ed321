"""Whose a process on a GPU is: of which attempt, or else of which user.

An attempt's process is known by its cgroup, or by its environment; one that has neither, by the
runner's record. An attempt counts only if its run directory is in the data directory of this
server: another server on this machine may know the same jobs, as with a copied database. All
functions may block: call them in a thread.
"""

import os
import pwd
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evalserver.runner.cgroups import cgroup_name
from evalserver.runner.files import PROCESSES_FILE, boot_id
from evalserver.runner.launch_spec import RUN_DIR_VARIABLE, TOKEN_VARIABLE
from evalserver.runner.procfs import Process, read_process
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, read_json

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CGROUP = re.compile(rf"/(evalserver-([^/\n]*?)({UUID})-attempt-(\d+)-[0-9a-f]+)(?=/|$)", re.M)
"""The name that ``runner/cgroups.py`` makes of a run directory."""
TOKEN = re.compile(rf"({UUID})/(\d+)")

MAX_RECORD_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Owner:
    """An attempt of this server."""

    job_id: str
    attempt: int


@dataclass(frozen=True)
class Inspected:
    """A process, which may just have ended: the attempt that started it, if any, and its user."""

    process: Process
    owner: Owner | None
    user: str


def inspect_processes(
    pids: Iterable[int], run_dirs: Mapping[Owner, Path], runs: Path
) -> dict[int, Inspected | None]:
    """Inspect processes; None for one that was reaped or is not visible here.

    ``run_dirs`` are those of the running attempts, whose runners keep records; ``runs`` is the
    directory of all jobs of this server.
    """
    found: dict[int, Inspected | None] = {}
    records: Mapping[tuple[int, int], Owner] | None = None
    for pid in pids:
        process = read_process(pid)
        if process is None:
            found[pid] = None
            continue
        cgroups = _read(f"/proc/{pid}/cgroup")
        owner = owner_by_cgroup(cgroups, runs) or _owner_by_environment(pid, runs)
        if owner is None:
            if records is None:
                records = _records(run_dirs, runs)
            owner = records.get((pid, process.started))
        found[pid] = Inspected(process, owner, _user(pid))
    return found


def owner_by_cgroup(cgroups: str, runs: Path) -> Owner | None:
    """Return the attempt whose cgroup is in a file ``/proc/PID/cgroup``; None without one, or if it
    is one of another server."""
    match = CGROUP.search(cgroups)
    if match is None:
        return None
    name, prefix, job_id, attempt = match.groups()
    # The name ends with a checksum of the whole path.
    is_here = name == cgroup_name(runs / f"{prefix}{job_id}" / f"attempt-{attempt}")
    return Owner(job_id, int(attempt)) if is_here else None


def _owner_by_environment(pid: int, runs: Path) -> Owner | None:
    assignments = (each.partition("=") for each in _read(f"/proc/{pid}/environ").split("\0"))
    environment = {name: value for name, _, value in assignments}
    match = TOKEN.fullmatch(environment.get(TOKEN_VARIABLE, ""))
    is_here = _is_run_dir(Path(environment.get(RUN_DIR_VARIABLE, "")), runs)
    return Owner(match[1], int(match[2])) if match and is_here else None


def _is_run_dir(path: Path, runs: Path) -> bool:
    return path.parent.parent == runs


def _records(run_dirs: Mapping[Owner, Path], runs: Path) -> dict[tuple[int, int], Owner]:
    """Return what the runners recorded: the owner of each process by pid and start time."""
    found: dict[tuple[int, int], Owner] = {}
    for owner, run_dir in run_dirs.items():
        if not _is_run_dir(run_dir, runs):
            continue
        with suppress(UnreadableFile, ValueError, TypeError):
            place = UntrustedDirectory.for_attempt(run_dir)
            record = read_json(place, PROCESSES_FILE, MAX_RECORD_BYTES)
            if record.get("boot_id") == boot_id():
                found |= {(pid, started): owner for pid, started, _ in record["processes"]}
    return found


def _user(pid: int) -> str:
    try:
        uid = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116
    except OSError:
        return "?"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
