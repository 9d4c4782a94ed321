"""Whose a process on a GPU is: of which attempt, or else of which user.

An attempt's process is known by its cgroup, or by the token in its environment; one that has
neither, by the runner's record. All functions may block: call them in a thread.
"""

import os
import pwd
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evalserver.runner.files import PROCESSES_FILE, boot_id
from evalserver.runner.launch_spec import TOKEN_VARIABLE
from evalserver.runner.procfs import Process, read_process
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, read_json

CGROUP = re.compile(
    r"evalserver-[^/\n]*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-attempt-(\d+)-"
)
"""The name that ``runner/cgroups.py`` makes of a run directory."""
TOKEN = re.compile(r"([0-9a-f-]{36})/(\d+)")

MAX_RECORD_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Owner:
    """An attempt, which may be one of another server on this machine."""

    job_id: str
    attempt: int


@dataclass(frozen=True)
class Inspected:
    """A process, which may just have ended: the attempt that started it, if any, and its user."""

    process: Process
    owner: Owner | None
    user: str


def inspect_processes(
    pids: Iterable[int], run_dirs: Mapping[Owner, Path]
) -> dict[int, Inspected | None]:
    """Inspect processes; None for one that was reaped or is not visible here.

    ``run_dirs`` are those of the running attempts, whose runners keep records.
    """
    found: dict[int, Inspected | None] = {}
    records: Mapping[tuple[int, int], Owner] | None = None
    for pid in pids:
        process = read_process(pid)
        if process is None:
            found[pid] = None
            continue
        owner = _owner_by_cgroup(pid) or _owner_by_token(pid)
        if owner is None:
            if records is None:
                records = _records(run_dirs)
            owner = records.get((pid, process.started))
        found[pid] = Inspected(process, owner, _user(pid))
    return found


def _owner_by_cgroup(pid: int) -> Owner | None:
    match = CGROUP.search(_read(f"/proc/{pid}/cgroup"))
    return Owner(match[1], int(match[2])) if match else None


def _owner_by_token(pid: int) -> Owner | None:
    for variable in _read(f"/proc/{pid}/environ").split("\0"):
        name, _, value = variable.partition("=")
        if name == TOKEN_VARIABLE and (match := TOKEN.fullmatch(value)):
            return Owner(match[1], int(match[2]))
    return None


def _records(run_dirs: Mapping[Owner, Path]) -> dict[tuple[int, int], Owner]:
    """Return what the runners recorded: the owner of each process by pid and start time."""
    found: dict[tuple[int, int], Owner] = {}
    for owner, run_dir in run_dirs.items():
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
